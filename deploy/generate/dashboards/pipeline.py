"""The Pipeline dashboard: rate, errors and duration of jobs and stages."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard, units

from deploy.generate.dashboards.layout import Section, build_dashboard
from deploy.generate.dashboards.panels import Query, Thresholds, alerts, graph, heat, number
from deploy.generate.dashboards.promql import buckets, increase, mean, percentiles, quantile, rate

QUEUE, STAGE = 'queue=~"$queue"', 'stage=~"$stage"'
JOB = "darkroom_job_end_to_end_seconds"
SLO_RESULTS = 'result=~"done|dead"'
"""In each lane. The promise is about the express lane; workers from before the label are taken for it."""
SLO_JOBS = f'{SLO_RESULTS},lane!="bulk"'
SLO_THRESHOLDS = Thresholds(warn=5, bad=10)


def board() -> dashboard.Dashboard:
    """Return the dashboard."""
    return build_dashboard(
        "Darkroom: Pipeline",
        uid="darkroom-pipeline",
        description="Rate, errors and duration of jobs and stages; queues; renditions.",
        sections=[_glance(), _alerts(), _stages(), _times(), _jobs(), _renditions()],
    )


def _glance() -> Section:
    return Section(
        "At a glance",
        [
            number(
                "Jobs ended",
                "Jobs that ended in the time range shown, with any result.",
                increase(f"{JOB}_count"),
                unit=units.Short,
            ),
            number(
                "p95 from upload to end",
                "95 % of the express jobs of the last five minutes ended within this time. The promise is 10 s.",
                "darkroom:job_end_to_end_seconds:p95_rate5m",
                unit=units.Seconds,
                limits=SLO_THRESHOLDS,
            ),
            number(
                "Late",
                "Share of the express jobs of the last hour that were not done within 10 s. The promise allows 5 %.",
                "darkroom:jobs_late:ratio_rate1h",
                unit=units.PercentUnit,
                limits=Thresholds(warn=0.05, bad=0.3),
            ),
            number(
                "Backlog",
                "How long the slowest pool needs for the messages that wait now.",
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
                "Jobs given up after their last attempt. Each waits for a person: see DeadJobs in the runbook.",
                'state:darkroom_jobs:max{state="dead"}',
                unit=units.Short,
                limits=Thresholds(warn=1, bad=1),
            ),
        ],
    )


def _alerts() -> Section:
    return Section(
        "Alerts and memory",
        [
            alerts(
                "Alerts",
                "Alerts that fire. The name of each leads to its section of the runbook.",
                width=16,
            ),
            graph(
                "Memory of Redis",
                "Used bytes, and the most that Redis may use. When it is full, no job is dispatched.",
                Query("max(darkroom_redis_memory_used_bytes)", "used"),
                Query("max(darkroom_redis_memory_max_bytes > 0)", "limit"),
                unit=units.BytesIEC,
                width=8,
            ),
        ],
    )


def _stages() -> Section:
    return Section(
        "Stages: rate, errors, duration",
        [
            graph(
                "Stage runs",
                "Stage runs per second, by stage.",
                Query(rate("darkroom_stage_runs_total", STAGE, by="stage"), "{{stage}}"),
                unit=units.OpsPerSecond,
            ),
            graph(
                "Outcomes other than done",
                "Stage runs per second. Refused: the image is at fault. Retried: a store was down, time ran out, or a"
                " bug. Skipped: the stage was already done. Ignored: another run has the stage, or the job has ended."
                " Out of order: an earlier stage is not done. Fenced: another run took over. Dead: no attempt is left.",
                Query(rate("darkroom_stage_runs_total", f'{STAGE},outcome!="done"', by="outcome"), "{{outcome}}"),
                unit=units.OpsPerSecond,
            ),
            graph(
                "Run time",
                "From the claim of a stage to its recorded outcome, including reads and writes of blobs.",
                *percentiles("darkroom_stage_duration_seconds", STAGE, by="stage"),
                unit=units.Seconds,
            ),
        ],
        width=8,
    )


def _times() -> Section:
    return Section(
        "Waiting and working",
        [
            heat(
                "Wait in the queue",
                "From the time a stage was due to its claim. If it is longer than the run time: add workers.",
                buckets("darkroom_stage_queue_wait_seconds", QUEUE),
                unit=units.Seconds,
            ),
            heat(
                "Run time",
                "From the claim of a stage to its recorded outcome. It grows with larger images or a slow store.",
                buckets("darkroom_stage_duration_seconds", STAGE),
                unit=units.Seconds,
            ),
            graph(
                "Backlog",
                "How long each pool needs for the messages that wait now: messages x mean run time / child processes."
                " Without recent runs or workers: how long the oldest message has waited.",
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
                "Time of jobs in the express lane that are done or dead. The promise: 95 % are done within 10 s.",
                *percentiles(JOB, SLO_JOBS),
                Query(quantile(0.99, JOB, SLO_JOBS), "p99"),
                unit=units.Seconds,
                limits=SLO_THRESHOLDS,
            ),
            graph(
                "From upload to end, by kind",
                "The 95th percentile of each kind of job, in the express lane.",
                Query(quantile(0.95, JOB, SLO_JOBS, by="kind"), "{{kind}}"),
                unit=units.Seconds,
                limits=SLO_THRESHOLDS,
            ),
            graph(
                "From upload to end, by lane",
                "The 95th percentile in each lane. Bursts and heavy files take the bulk lane and may wait.",
                Query(quantile(0.95, JOB, SLO_RESULTS, by="lane"), "{{lane}}"),
                unit=units.Seconds,
                width=8,
            ),
            graph(
                "Wait in the queue, by lane",
                "The 95th percentile of the wait of a stage. Workers take from both lanes in turn.",
                Query(quantile(0.95, "darkroom_stage_queue_wait_seconds", QUEUE, by="lane"), "{{lane}}"),
                unit=units.Seconds,
                width=8,
            ),
            graph(
                "Jobs ended, by lane",
                "Jobs that ended per second, in each lane.",
                Query(rate(f"{JOB}_count", by="lane"), "{{lane}}"),
                unit=units.OpsPerSecond,
                width=8,
                stacked=True,
            ),
            graph(
                "Jobs by state",
                "Job documents by state, now. Jobs that have ended count until their documents are deleted.",
                Query("state:darkroom_jobs:max", "{{state}}"),
                unit=units.Short,
                width=8,
            ),
            graph(
                "Submissions",
                "Submissions per second, by kind and result.",
                Query(rate("darkroom_jobs_submitted_total", by="kind, result"), "{{kind}} {{result}}"),
                unit=units.RequestsPerSecond,
                width=8,
                stacked=True,
            ),
            graph(
                "Jobs ended",
                "Jobs that ended per second, by result.",
                Query(rate(f"{JOB}_count", by="result"), "{{result}}"),
                unit=units.OpsPerSecond,
                width=8,
                stacked=True,
            ),
            graph(
                "Bulk actions",
                "Jobs per second that bulk actions looked at, by action and outcome.",
                Query(rate("darkroom_bulk_jobs_total", by="action, outcome"), "{{action}} {{outcome}}"),
                unit=units.OpsPerSecond,
                width=16,
                stacked=True,
            ),
            graph(
                "Active bulk actions",
                "Bulk actions that have not ended, now.",
                Query("max(darkroom_bulk_actions_active)", "active"),
                unit=units.Short,
                width=8,
            ),
        ],
    )


def _renditions() -> Section:
    size = "darkroom_rendition_bytes_total"
    count = "darkroom_renditions_total"
    return Section(
        "Renditions",
        [
            graph(
                "Renditions",
                "Renditions written per second.",
                Query(rate(count, by="rendition, format"), "{{rendition}} {{format}}"),
                unit=units.OpsPerSecond,
                width=8,
            ),
            graph(
                "Bytes written",
                "Bytes of renditions written per second.",
                Query(rate(size, by="format"), "{{format}}"),
                unit=units.BytesPerSecondSI,
                width=8,
                stacked=True,
            ),
            graph(
                "Mean size",
                "Mean size of a rendition in bytes.",
                Query(
                    f"{rate(size, by='rendition, format')} / ({rate(count, by='rendition, format')} > 0)",
                    "{{rendition}} {{format}}",
                ),
                unit=units.BytesSI,
                width=8,
            ),
            graph(
                "Mean run time",
                "Mean run time of each stage, which is what one message costs its pool.",
                Query(mean("darkroom_stage_duration_seconds", STAGE, by="stage"), "{{stage}}"),
                unit=units.Seconds,
                width=24,
            ),
        ],
    )
