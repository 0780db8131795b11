"""The dashboard of what goes out and comes in by itself: webhooks, imports, exports, events of buckets."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard, units

from deploy.generate.dashboards.layout import Section, build_dashboard
from deploy.generate.dashboards.panels import Query, Thresholds, graph, number
from deploy.generate.dashboards.promql import increase, percentiles, rate

TRIES, TRY_SECONDS = "darkroom_webhook_tries_total", "darkroom_webhook_try_duration_seconds"
RUNS, RUN_SECONDS = "darkroom_stage_runs_total", "darkroom_stage_duration_seconds"
OUTBOX_AGE = "max(darkroom_outbox_oldest_age_seconds)"
PENDING, PENDING_AGE = "max(darkroom_webhook_deliveries_pending)", "max(darkroom_webhook_oldest_pending_age_seconds)"
DISABLED = "darkroom_webhook_endpoints_disabled"
HOUR = 3600


def board() -> dashboard.Dashboard:
    """Return the dashboard."""
    return build_dashboard(
        "Darkroom: Webhooks, imports, exports",
        uid="darkroom-outbound",
        description="Events and their deliveries; originals that are fetched; results that are put into buckets.",
        sections=[_glance(), _events(), _endpoints(), _transfers()],
    )


def _glance() -> Section:
    return Section(
        "At a glance",
        [
            number("Events", "Events of jobs per second.", rate("darkroom_events_total"), unit=units.CountsPerSecond),
            number(
                "Not handed over",
                "Age of the oldest event that no gateway has handed over to the webhooks. It should be seconds.",
                OUTBOX_AGE,
                unit=units.Seconds,
                limits=Thresholds(warn=10, bad=120),
            ),
            number("Pending", "Deliveries that are not delivered yet.", PENDING, unit=units.Short),
            number(
                "Oldest pending",
                "Age of the oldest pending delivery. One that fails is tried again for three days.",
                PENDING_AGE,
                unit=units.Seconds,
                limits=Thresholds(warn=HOUR, bad=24 * HOUR),
            ),
            number(
                "Failed tries",
                "Share of the tries of the last 30 minutes that failed. 0 without tries.",
                "darkroom:webhook_tries_failed:ratio_rate30m or vector(0)",
                unit=units.PercentUnit,
                limits=Thresholds(warn=0.1, bad=0.5),
            ),
            number(
                "Disabled webhooks",
                "Webhooks that were disabled because they failed, or are gone.",
                f'sum(max by (reason) ({DISABLED}{{reason!="owner"}}))',
                unit=units.Short,
                limits=Thresholds(warn=1, bad=10),
            ),
        ],
    )


def _events() -> Section:
    return Section(
        "Events and deliveries",
        [
            graph(
                "Events by type",
                "Events of jobs per second, whether a webhook wants them or not.",
                Query(rate("darkroom_events_total", by="type"), "{{type}}"),
                unit=units.CountsPerSecond,
                stacked=True,
            ),
            graph(
                "Deliveries by outcome",
                "Deliveries per second that ended. Given up: after the last of ten tries.",
                Query(rate("darkroom_webhook_deliveries_total", by="outcome"), "{{outcome}}"),
                unit=units.CountsPerSecond,
                stacked=True,
            ),
            graph(
                "Tries by outcome",
                "Tries per second. Rejected: answered, but not with 2xx. Refused: the address may not be connected to.",
                Query(rate(TRIES, by="outcome"), "{{outcome}}"),
                unit=units.CountsPerSecond,
                stacked=True,
            ),
            graph(
                "Duration of a try",
                "Median and 95th percentile, with the connection and the answer.",
                *percentiles(TRY_SECONDS),
                unit=units.Seconds,
                limits=Thresholds(warn=5, bad=15),
            ),
            graph(
                "Pending deliveries",
                "Deliveries that wait for their first or their next try.",
                Query(PENDING, "pending"),
                unit=units.Short,
            ),
            graph(
                "Ages",
                "Age of the oldest event that is not handed over, and of the oldest pending delivery.",
                Query(OUTBOX_AGE, "not handed over"),
                Query(PENDING_AGE, "pending"),
                unit=units.Seconds,
            ),
        ],
        width=8,
    )


def _endpoints() -> Section:
    return Section(
        "Webhooks",
        [
            graph(
                "Disabled, by reason",
                "Webhooks that their owner has disabled, that answered 410 (gone), or that took nothing for days.",
                Query(f"max by (reason) ({DISABLED})", "{{reason}}"),
                unit=units.Short,
            ),
            graph(
                "Disabled in the time range",
                "Webhooks that were disabled because they failed, in the time range shown.",
                Query(increase(f"{DISABLED}_total", by="reason"), "{{reason}}"),
                unit=units.Short,
            ),
            graph(
                "Queue of webhooks",
                "Webhooks that wait for a worker of `notify`, and the seconds that the next one has waited.",
                Query('queue:darkroom_queue_length:max{queue="notify"}', "waiting"),
                Query('queue:darkroom_queue_oldest_age_seconds:max{queue="notify"}', "seconds"),
                unit=units.Short,
            ),
        ],
        width=8,
    )


def _transfers() -> Section:
    return Section(
        "Imports, exports, events of buckets",
        [
            graph(
                "Fetches by outcome",
                "Runs of the stage `fetch` per second. Refused: the job has failed, its code says why.",
                Query(rate(RUNS, 'stage="fetch"', by="outcome"), "{{outcome}}"),
                unit=units.CountsPerSecond,
            ),
            graph(
                "Exports by outcome",
                "Runs of the stage `export` per second.",
                Query(rate(RUNS, 'stage="export"', by="outcome"), "{{outcome}}"),
                unit=units.CountsPerSecond,
            ),
            graph(
                "Events of buckets",
                "Per second. Repeated: of an object version that has a job. Ignored: not of a new image.",
                Query(rate("darkroom_ingest_events_total", by="outcome"), "{{outcome}}"),
                unit=units.CountsPerSecond,
                stacked=True,
            ),
            graph(
                "Duration",
                "Median and 95th percentile of the runs of both stages.",
                *percentiles(RUN_SECONDS, 'stage=~"fetch|export"', by="stage"),
                unit=units.Seconds,
                limits=Thresholds(warn=10, bad=40),
            ),
            graph(
                "Fetched bytes",
                "Bytes of originals per second.",
                Query(rate("darkroom_fetched_bytes_total"), "fetched"),
                unit=units.BytesPerSecondIEC,
            ),
            graph(
                "Queue of both stages",
                "Messages that wait for a worker of `fetch`, and the seconds that the next one has waited.",
                Query('queue:darkroom_queue_length:max{queue="fetch"}', "waiting"),
                Query('queue:darkroom_queue_oldest_age_seconds:max{queue="fetch"}', "seconds"),
                unit=units.Short,
            ),
        ],
        width=8,
    )
