"""Pipeline: how much goes through, how much goes wrong, how long it takes, stage by stage."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard, units

from deploy.generate.dashboards.layout import Section, build_dashboard
from deploy.generate.dashboards.panels import Query, Thresholds, graph, heat, number
from deploy.generate.dashboards.promql import buckets, increase, mean, percentiles, quantile, rate

QUEUE, STAGE = 'queue=~"$queue"', 'stage=~"$stage"'
JOB = "darkroom_job_end_to_end_seconds"
SLO_RESULTS = 'result=~"done|dead"'
SLO_THRESHOLDS = Thresholds(warn=5, bad=10)


def board() -> dashboard.Dashboard:
    """Return the dashboard."""
    return build_dashboard(
        "Darkroom: Pipeline",
        uid="darkroom-pipeline",
        description="Rate, errors and duration of jobs and stages, what waits, and what comes out.",
        sections=[_glance(), _stages(), _times(), _jobs(), _renditions()],
    )


def _glance() -> Section:
    return Section(
        "At a glance",
        [
            number(
                "Jobs ended",
                "Jobs that ended in the time shown, however they ended.",
                increase(f"{JOB}_count"),
                unit=units.Short,
            ),
            number(
                "p95 from upload to end",
                "95 % of the jobs of the last five minutes took no longer. The promise is 10 s.",
                "darkroom:job_end_to_end_seconds:p95_rate5m",
                unit=units.Seconds,
                limits=SLO_THRESHOLDS,
            ),
            number(
                "Late",
                "Share of the jobs of the last hour that were not done within 10 s. The promise allows 5 %.",
                "darkroom:jobs_late:ratio_rate1h",
                unit=units.PercentUnit,
                limits=Thresholds(warn=0.05, bad=0.3),
            ),
            number(
                "Backlog",
                "How long the slowest pool will be busy with what waits now.",
                "max(queue:darkroom_backlog_seconds:estimate)",
                unit=units.Seconds,
                limits=SLO_THRESHOLDS,
            ),
            number(
                "Failed",
                "Share of the jobs of the last half hour whose image was refused.",
                "darkroom:jobs_failed:ratio_rate30m",
                unit=units.PercentUnit,
                limits=Thresholds(warn=0.1, bad=0.25),
            ),
            number(
                "Dead",
                "Jobs that were tried too often. Each waits for a person: see DeadJobs in the runbook.",
                'state:darkroom_jobs:max{state="dead"}',
                unit=units.Short,
                limits=Thresholds(warn=1, bad=1),
            ),
        ],
    )


def _stages() -> Section:
    return Section(
        "Stages: rate, errors, duration",
        [
            graph(
                "Runs",
                "Messages taken up a second, by stage.",
                Query(rate("darkroom_stage_runs_total", STAGE, by="stage"), "{{stage}}"),
                unit=units.OpsPerSecond,
                width=8,
            ),
            graph(
                "Runs that were not simply done",
                "Refused: a bad image. Retried: a store was away, or time ran out. Skipped: done before."
                " Ignored, out of order: nothing to do. Fenced: another run took over. Dead: tried too often.",
                Query(rate("darkroom_stage_runs_total", f'{STAGE},outcome!="done"', by="outcome"), "{{outcome}}"),
                unit=units.OpsPerSecond,
                width=8,
            ),
            graph(
                "Run time",
                "From a stage's claim to its record, blobs included.",
                *percentiles("darkroom_stage_duration_seconds", STAGE, by="stage"),
                unit=units.Seconds,
                width=8,
            ),
        ],
    )


def _times() -> Section:
    return Section(
        "Waiting and working",
        [
            heat(
                "Wait in the queue",
                "From the moment a stage was due to its claim. Longer than the runs beside it: add workers.",
                buckets("darkroom_stage_queue_wait_seconds", QUEUE),
                unit=units.Seconds,
            ),
            heat(
                "Run time",
                "From a stage's claim to its record. If this grows: larger images, or a slow store.",
                buckets("darkroom_stage_duration_seconds", STAGE),
                unit=units.Seconds,
            ),
            graph(
                "Backlog",
                "How long each pool will be busy with what waits now: messages, times their mean run, over children."
                " Without runs to go by: how long the oldest message has waited.",
                Query(f"queue:darkroom_backlog_seconds:estimate{{{QUEUE}}}", "{{queue}}"),
                unit=units.Seconds,
                limits=Thresholds(warn=10, bad=120),
            ),
            graph(
                "Messages waiting",
                "Messages in each queue that no worker has fetched.",
                Query(f"queue:darkroom_queue_length:max{{{QUEUE}}}", "{{queue}}"),
                unit=units.Short,
            ),
        ],
    )


def _jobs() -> Section:
    return Section(
        "Jobs",
        [
            graph(
                "From upload to end",
                "Of jobs that were done or died. The promise: 95 % within 10 s.",
                *percentiles(JOB, SLO_RESULTS),
                Query(quantile(0.99, JOB, SLO_RESULTS), "p99"),
                unit=units.Seconds,
                limits=SLO_THRESHOLDS,
            ),
            graph(
                "From upload to end, by kind",
                "The 95th percentile of each kind of job.",
                Query(quantile(0.95, JOB, SLO_RESULTS, by="kind"), "{{kind}}"),
                unit=units.Seconds,
                limits=SLO_THRESHOLDS,
            ),
            graph(
                "Jobs by state",
                "What the documents say now. Ended jobs stay until their records are forgotten.",
                Query("state:darkroom_jobs:max", "{{state}}"),
                unit=units.Short,
                width=8,
            ),
            graph(
                "Jobs submitted",
                "Requests for a job a second, by what came of them.",
                Query(rate("darkroom_jobs_submitted_total", by="kind, result"), "{{kind}} {{result}}"),
                unit=units.RequestsPerSecond,
                width=8,
                stacked=True,
            ),
            graph(
                "Jobs ended",
                "Jobs that ended a second, by how.",
                Query(rate(f"{JOB}_count", by="result"), "{{result}}"),
                unit=units.OpsPerSecond,
                width=8,
                stacked=True,
            ),
        ],
    )


def _renditions() -> Section:
    size = "darkroom_rendition_bytes_total"
    made = "darkroom_renditions_total"
    return Section(
        "Renditions out",
        [
            graph(
                "Renditions",
                "Renditions made a second.",
                Query(rate(made, by="rendition, format"), "{{rendition}} {{format}}"),
                unit=units.OpsPerSecond,
                width=8,
            ),
            graph(
                "Bytes written",
                "Bytes of the renditions made, a second.",
                Query(rate(size, by="format"), "{{format}}"),
                unit=units.BytesPerSecondSI,
                width=8,
                stacked=True,
            ),
            graph(
                "Mean size",
                "Bytes of a rendition, on average.",
                Query(
                    f"{rate(size, by='rendition, format')} / ({rate(made, by='rendition, format')} > 0)",
                    "{{rendition}} {{format}}",
                ),
                unit=units.BytesSI,
                width=8,
            ),
            graph(
                "Mean run time",
                "Of a stage, on average: what a pool needs for one message.",
                Query(mean("darkroom_stage_duration_seconds", STAGE, by="stage"), "{{stage}}"),
                unit=units.Seconds,
                width=24,
            ),
        ],
    )
