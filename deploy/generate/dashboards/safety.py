"""The "Is it fair and safe" dashboard: redeliveries, redispatches, dead and refused jobs, and waiting times."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard, units

from deploy.generate.dashboards.layout import Section, build_dashboard
from deploy.generate.dashboards.panels import Query, Thresholds, graph, number
from deploy.generate.dashboards.promql import increase, percentiles, quantile, rate

QUEUE, STAGE = 'queue=~"$queue"', 'stage=~"$stage"'
ERROR_BUDGET = 0.05
"""Share of jobs that may be late: the promise is 95 % within 10 s."""
SWEEPER_AGE = "time() - max(darkroom_sweeper_last_run_timestamp_seconds > 0)"
TIDIER_AGE = "time() - max(darkroom_tidier_last_run_timestamp_seconds > 0)"


def board() -> dashboard.Dashboard:
    """Return the dashboard."""
    return build_dashboard(
        "Darkroom: Is it fair and safe",
        uid="darkroom-safety",
        description="Whether an accepted job could be lost, and whether any job waits too long.",
        sections=[_glance(), _redeliveries(), _failures_and_refusals(), _latency(), _presets(), _backups()],
    )


def _glance() -> Section:
    return Section(
        "At a glance",
        [
            number(
                "Alerts firing",
                "The dashboard Pipeline lists them, with links to the runbook.",
                'count(ALERTS{alertstate="firing"}) or vector(0)',
                unit=units.Short,
                limits=Thresholds(warn=1, bad=3),
            ),
            number(
                "Dead jobs",
                "Jobs given up after their last attempt. Each waits for a person to retry or delete it.",
                'state:darkroom_jobs:max{state="dead"}',
                unit=units.Short,
                limits=Thresholds(warn=1, bad=1),
            ),
            number(
                "Redispatched",
                "Jobs without progress that the sweeper redispatched in the time range shown.",
                increase("darkroom_sweeper_redispatched_total"),
                unit=units.Short,
                limits=Thresholds(warn=1, bad=10),
            ),
            number(
                "Redelivered",
                "Messages that the broker delivered again in the time range shown.",
                increase("darkroom_redeliveries_total"),
                unit=units.Short,
                limits=Thresholds(warn=1, bad=10),
            ),
            number(
                "Unacknowledged",
                "Messages that workers hold: running, waiting for a child process, or waiting for their retry.",
                "max(darkroom_unacked_messages)",
                unit=units.Short,
            ),
            number(
                "Since the last sweep",
                "Time since the last round of any sweeper. The sweeper redispatches jobs whose message was lost.",
                SWEEPER_AGE,
                unit=units.Seconds,
                limits=Thresholds(warn=30, bad=120),
            ),
        ],
    )


def _redeliveries() -> Section:
    return Section(
        "Redeliveries and retries: no job is lost",
        [
            graph(
                "Redelivered",
                "Messages delivered again per second: their worker died, or held them too long.",
                Query(rate("darkroom_redeliveries_total", STAGE, by="stage"), "{{stage}}"),
                unit=units.OpsPerSecond,
            ),
            graph(
                "Redispatched",
                "Jobs redispatched per second. Unclaimed: no worker claimed them. Stalled: stopped after a claim.",
                Query(rate("darkroom_sweeper_redispatched_total", by="reason"), "{{reason}}"),
                unit=units.OpsPerSecond,
            ),
            graph(
                "Retries",
                "Stage runs per second that will be retried, by reason.",
                Query(rate("darkroom_stage_retries_total", STAGE, by="reason"), "{{reason}}"),
                unit=units.OpsPerSecond,
            ),
            graph(
                "Oldest unacknowledged message",
                "Time since it was delivered to a worker. After 120 s it should have been delivered again.",
                Query("max(darkroom_unacked_oldest_age_seconds)", "age"),
                unit=units.Seconds,
                limits=Thresholds(warn=120, bad=180),
            ),
            graph(
                "Unacknowledged messages",
                "Messages that workers hold.",
                Query("max(darkroom_unacked_messages)", "held"),
                unit=units.Short,
            ),
            graph(
                "Since the last sweep",
                "Time since the last round of any sweeper, and of the tidier: one running gateway is enough.",
                Query(SWEEPER_AGE, "sweeper"),
                Query(TIDIER_AGE, "tidier"),
                unit=units.Seconds,
                limits=Thresholds(warn=30, bad=120),
            ),
        ],
        width=8,
    )


def _failures_and_refusals() -> Section:
    unchanged = f'{STAGE},outcome=~"fenced|ignored|out_of_order|skipped|unreadable"'
    return Section(
        "Dead jobs and refusals",
        [
            graph(
                "Dead jobs, and the stages they died in",
                "Number of dead jobs, and stages per second that were given up after their last attempt.",
                Query('state:darkroom_jobs:max{state="dead"}', "dead"),
                Query(
                    rate("darkroom_stage_runs_total", f'{STAGE},outcome="dead"', by="stage"),
                    "{{stage}} dead per second",
                ),
                unit=units.Short,
                width=8,
            ),
            graph(
                "Images refused",
                "Stage runs per second that refused an image.",
                Query(rate("darkroom_stage_runs_total", f'{STAGE},outcome="refused"', by="stage"), "{{stage}}"),
                unit=units.OpsPerSecond,
                width=8,
            ),
            graph(
                "Runs that changed nothing",
                "Stage runs per second. Skipped: the stage was already done. Ignored: another run has the stage, or the"
                " job has ended. Out of order: an earlier stage is not done. Fenced: a later run took over."
                " Unreadable: the job is of a newer version.",
                Query(rate("darkroom_stage_runs_total", unchanged, by="outcome"), "{{outcome}}"),
                unit=units.OpsPerSecond,
                width=8,
            ),
            graph(
                "Unreadable",
                "Jobs that this version cannot read, and messages per second that workers dropped: of a newer version,"
                " or damaged.",
                Query("max(darkroom_unreadable_documents)", "jobs"),
                Query(rate("darkroom_unreadable_messages_total", by="job"), "messages per second, {{job}}"),
                unit=units.Short,
                limits=Thresholds(warn=1, bad=1),
                width=8,
            ),
            graph(
                "Submissions refused",
                "Refused submissions per second, by kind.",
                Query(rate("darkroom_jobs_submitted_total", 'result="refused"', by="kind"), "{{kind}}"),
                unit=units.RequestsPerSecond,
                width=8,
            ),
            graph(
                "Refused under load",
                "Responses per second that ask a client to try again later.",
                Query(
                    rate(
                        "darkroom_http_problems_total",
                        'code=~"overloaded|rate_limited|storage_full|unavailable"',
                        by="code",
                    ),
                    "{{code}}",
                ),
                unit=units.RequestsPerSecond,
                width=8,
            ),
        ],
    )


def _latency() -> Section:
    burn = [
        Query(f"darkroom:jobs_late:ratio_rate{window} / {ERROR_BUDGET}", window) for window in ("5m", "30m", "1h", "6h")
    ]
    return Section(
        "Latency: no job waits too long",
        [
            graph(
                "Burn rate",
                "Share of late express jobs, as a multiple of the 5 % that may be late. Alerts fire above 6 and 14.4.",
                *burn,
                unit=units.Short,
                limits=Thresholds(warn=6, bad=14.4),
            ),
            graph(
                "Oldest job",
                "Age of the oldest active job, by state.",
                Query("max by (state) (darkroom_job_oldest_age_seconds)", "{{state}}"),
                unit=units.Seconds,
                limits=Thresholds(warn=60, bad=1800),
            ),
            graph(
                "Wait in the queue",
                "Median and 95th percentile. If they are far apart, some jobs wait much longer than others.",
                *percentiles("darkroom_stage_queue_wait_seconds", QUEUE, by="queue"),
                unit=units.Seconds,
            ),
            graph(
                "From upload to end, by kind",
                "95 % of the jobs of each kind ended within this time. A kind far above the others is starved.",
                Query(quantile(0.95, "darkroom_job_end_to_end_seconds", by="kind"), "{{kind}}"),
                unit=units.Seconds,
                limits=Thresholds(warn=5, bad=10),
            ),
        ],
    )


def _presets() -> Section:
    return Section(
        "Files of presets",
        [
            graph(
                "Loaded",
                "1 if the presets in force are those of their files, by gateway; 0 while the files have mistakes.",
                Query("darkroom_presets_last_load_successful", "{{instance}}"),
                unit=units.Short,
                width=8,
            ),
            graph(
                "Presets in force",
                "The preset `default` is one of them. Gateways with other numbers have other files.",
                Query("darkroom_presets", "{{instance}}"),
                unit=units.Short,
                width=8,
            ),
            graph(
                "Since the last load",
                "Time since presets were put in force, by gateway. Empty without a file of presets.",
                Query("time() - (darkroom_presets_last_load_success_timestamp_seconds > 0)", "{{instance}}"),
                unit=units.Seconds,
                width=8,
            ),
        ],
    )


def _backups() -> Section:
    return Section(
        "Scheduled backups",
        [
            graph(
                "Since the newest backup",
                "Time since the newest complete backup was begun. Empty where no backups are scheduled.",
                Query("time() - max(darkroom_backup_last_success_timestamp_seconds > 0)", "age"),
                unit=units.Seconds,
                width=8,
            ),
            graph(
                "Backups by result",
                "Backups in the time range shown.",
                Query(increase("darkroom_backup_runs_total", by="result"), "{{result}}"),
                unit=units.Short,
                width=8,
            ),
            graph(
                "Size and duration",
                "Bytes of the newest backup, and the seconds that it took.",
                Query("max(darkroom_backup_last_size_bytes)", "bytes"),
                Query("max(darkroom_backup_last_duration_seconds)", "seconds"),
                unit=units.Short,
                width=8,
            ),
        ],
    )
