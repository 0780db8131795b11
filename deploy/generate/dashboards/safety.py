"""Is it fair and safe: what is delivered twice, sent on again, given up or refused, and who waits for whom."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard, units

from deploy.generate.dashboards.layout import Section, build_dashboard
from deploy.generate.dashboards.panels import Query, Thresholds, graph, number
from deploy.generate.dashboards.promql import increase, percentiles, quantile, rate

QUEUE, STAGE = 'queue=~"$queue"', 'stage=~"$stage"'
ERROR_BUDGET = 0.05
"""Jobs that may be late: the promise is 95 % within 10 s."""
SWEEPER_AGE = "time() - max(darkroom_sweeper_last_run_timestamp_seconds)"


def board() -> dashboard.Dashboard:
    """Return the dashboard."""
    return build_dashboard(
        "Darkroom: Is it fair and safe",
        uid="darkroom-safety",
        description="Whether anything answered 202 could be lost, and whether anybody waits for too long.",
        sections=[_glance(), _redeliveries(), _failures_and_refusals(), _latency()],
    )


def _glance() -> Section:
    return Section(
        "At a glance",
        [
            number(
                "Alerts firing",
                "See http://localhost:9090/alerts and deploy/docs/RUNBOOK.md.",
                'count(ALERTS{alertstate="firing"}) or vector(0)',
                unit=units.Short,
                limits=Thresholds(warn=1, bad=3),
            ),
            number(
                "Dead jobs",
                "Tried too often; each waits for a person to retry or delete it.",
                'state:darkroom_jobs:max{state="dead"}',
                unit=units.Short,
                limits=Thresholds(warn=1, bad=1),
            ),
            number(
                "Sent on again",
                "Jobs that stood still and that the sweeper sent on again, in the time shown.",
                increase("darkroom_sweeper_redispatched_total"),
                unit=units.Short,
                limits=Thresholds(warn=1, bad=10),
            ),
            number(
                "Delivered again",
                "Messages that the broker delivered a second time, in the time shown.",
                increase("darkroom_redeliveries_total"),
                unit=units.Short,
                limits=Thresholds(warn=1, bad=10),
            ),
            number(
                "Unacknowledged",
                "Messages that a worker holds: at work, waiting for a child, or for their retry.",
                "max(darkroom_unacked_messages)",
                unit=units.Short,
            ),
            number(
                "Since the last sweep",
                "The sweeper is what sends on a job whose message was lost.",
                SWEEPER_AGE,
                unit=units.Seconds,
                limits=Thresholds(warn=30, bad=120),
            ),
        ],
    )


def _redeliveries() -> Section:
    return Section(
        "Nothing is lost: what was begun again",
        [
            graph(
                "Delivered again",
                "Messages a second that had been delivered before: their worker died, or kept them too long.",
                Query(rate("darkroom_redeliveries_total", STAGE, by="stage"), "{{stage}}"),
                unit=units.OpsPerSecond,
                width=8,
            ),
            graph(
                "Sent on again",
                "Jobs a second that the sweeper sent on. Unclaimed: no worker had taken them. Stalled: stuck half-way.",
                Query(rate("darkroom_sweeper_redispatched_total", by="reason"), "{{reason}}"),
                unit=units.OpsPerSecond,
                width=8,
            ),
            graph(
                "Retries",
                "Runs a second that will be tried again, by whose fault it was.",
                Query(rate("darkroom_stage_retries_total", STAGE, by="reason"), "{{reason}}"),
                unit=units.OpsPerSecond,
                width=8,
            ),
            graph(
                "Oldest unacknowledged message",
                "How long ago it was taken. Above 120 s it should have been delivered again.",
                Query("max(darkroom_unacked_oldest_age_seconds)", "age"),
                unit=units.Seconds,
                width=8,
                limits=Thresholds(warn=120, bad=180),
            ),
            graph(
                "Unacknowledged messages",
                "Messages that workers hold.",
                Query("max(darkroom_unacked_messages)", "held"),
                unit=units.Short,
                width=8,
            ),
            graph(
                "Since the last sweep",
                "Of the sweeper that ran last: one is enough.",
                Query(SWEEPER_AGE, "age"),
                unit=units.Seconds,
                width=8,
                limits=Thresholds(warn=30, bad=120),
            ),
        ],
    )


def _failures_and_refusals() -> Section:
    oddities = f'{STAGE},outcome=~"fenced|ignored|out_of_order|skipped"'
    return Section(
        "What was given up or refused",
        [
            graph(
                "Dead jobs, and stages that they died in",
                "How many jobs are dead. How many stages a second were given up after their last attempt.",
                Query('state:darkroom_jobs:max{state="dead"}', "dead"),
                Query(
                    rate("darkroom_stage_runs_total", f'{STAGE},outcome="dead"', by="stage"),
                    "{{stage}} dead a second",
                ),
                unit=units.Short,
                width=8,
            ),
            graph(
                "Images refused",
                "Runs a second that found the image to blame.",
                Query(rate("darkroom_stage_runs_total", f'{STAGE},outcome="refused"', by="stage"), "{{stage}}"),
                unit=units.OpsPerSecond,
                width=8,
            ),
            graph(
                "Runs that changed nothing",
                "A second. Skipped: done before. Ignored, out of order: out of turn. Fenced: a later run took over.",
                Query(rate("darkroom_stage_runs_total", oddities, by="outcome"), "{{outcome}}"),
                unit=units.OpsPerSecond,
                width=8,
            ),
            graph(
                "Requests refused",
                "A second, by kind: the rest was accepted, or answered from an earlier one.",
                Query(rate("darkroom_jobs_submitted_total", 'result="refused"', by="kind"), "{{kind}}"),
                unit=units.RequestsPerSecond,
            ),
            graph(
                "Refused for load",
                "Answers a second that sent a client away to come back later.",
                Query(
                    rate("darkroom_http_problems_total", 'code=~"overloaded|rate_limited|unavailable"', by="code"),
                    "{{code}}",
                ),
                unit=units.RequestsPerSecond,
            ),
        ],
    )


def _latency() -> Section:
    burn = [
        Query(f"darkroom:jobs_late:ratio_rate{window} / {ERROR_BUDGET}", window) for window in ("5m", "30m", "1h", "6h")
    ]
    return Section(
        "Nobody waits for too long",
        [
            graph(
                "Burn rate",
                "How many times as fast as allowed jobs are late; 1 is the 5 % of the promise. Alerts at 6 and 14.4.",
                *burn,
                unit=units.Short,
                limits=Thresholds(warn=6, bad=14.4),
            ),
            graph(
                "Oldest job",
                "Age of the oldest job that has not ended, by state.",
                Query("max by (state) (darkroom_job_oldest_age_seconds)", "{{state}}"),
                unit=units.Seconds,
                limits=Thresholds(warn=60, bad=1800),
            ),
            graph(
                "Wait in the queue",
                "The middle and the tail: far apart, some wait for the others.",
                *percentiles("darkroom_stage_queue_wait_seconds", QUEUE, by="queue"),
                unit=units.Seconds,
            ),
            graph(
                "From upload to end, by kind",
                "95 % of the jobs of each kind took no longer: a kind far above the others starves.",
                Query(quantile(0.95, "darkroom_job_end_to_end_seconds", by="kind"), "{{kind}}"),
                unit=units.Seconds,
                limits=Thresholds(warn=5, bad=10),
            ),
        ],
    )
