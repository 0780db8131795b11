"""Workers: how busy each pool is, what it cannot keep up with, and what it loses."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard, units

from deploy.generate.dashboards.layout import Section, build_dashboard
from deploy.generate.dashboards.panels import Query, Thresholds, graph, number, timeline
from deploy.generate.dashboards.promql import increase, quantile, rate

QUEUE = 'queue=~"$queue"'
POOL = 'job="workers",pool=~"$queue"'
PROCESSES = f"sum by (queue) (darkroom_worker_pool_processes{{{QUEUE}}})"
FULL = Thresholds(warn=0.8, bad=0.95)


def board() -> dashboard.Dashboard:
    """Return the dashboard."""
    return build_dashboard(
        "Darkroom: Workers",
        uid="darkroom-workers",
        description="Utilisation, saturation and errors of each pool of workers.",
        sections=[_glance(), _utilisation(), _saturation(), _errors()],
    )


def _busy(by: str) -> str:
    """Return the share of their time that a pool's children spent on stages."""
    return (
        f"sum{by} (rate(darkroom_stage_duration_seconds_sum{{{POOL}}}[$__rate_interval]))"
        f" / (sum{by} (darkroom_worker_pool_processes{{{POOL}}}) > 0)"
    )


def _glance() -> Section:
    return Section(
        "At a glance",
        [
            number("Workers", "Worker processes that answer.", f"sum(up{{{POOL}}})", unit=units.Short),
            number("Children", "Processes that work on stages.", f"sum({PROCESSES})", unit=units.Short),
            number(
                "Busy",
                "Share of all children's time that went into stages.",
                _busy(""),
                unit=units.PercentUnit,
                limits=FULL,
            ),
            number(
                "Waiting",
                "Messages in all queues.",
                f"sum(queue:darkroom_queue_length:max{{{QUEUE}}})",
                unit=units.Short,
            ),
            number(
                "Memory",
                "Of all workers with their children.",
                f"sum(darkroom_worker_memory_bytes{{{QUEUE}}})",
                unit=units.BytesIEC,
            ),
            number(
                "Children lost",
                "Killed, out of memory, or crashed at work, in the time shown.",
                increase("darkroom_worker_child_lost_total", QUEUE),
                unit=units.Short,
                limits=Thresholds(warn=1, bad=4),
            ),
        ],
    )


def _utilisation() -> Section:
    return Section(
        "Utilisation",
        [
            graph(
                "Busy",
                "Share of its children's time that a pool spent on stages. Near 100 %: add workers.",
                Query(_busy(" by (pool)"), "{{pool}}"),
                unit=units.PercentUnit,
                limits=FULL,
            ),
            graph(
                "Children at work",
                "Messages that a child works on now, and the children that there are.",
                Query(f"sum by (queue) (darkroom_worker_tasks_active{{{QUEUE}}})", "{{queue}} at work"),
                Query(PROCESSES, "{{queue}} children"),
                unit=units.Short,
            ),
        ],
    )


def _saturation() -> Section:
    return Section(
        "Saturation",
        [
            graph(
                "Wait in the queue, p95",
                "95 % of the messages were taken up within this time.",
                Query(quantile(0.95, "darkroom_stage_queue_wait_seconds", QUEUE, by="queue"), "{{queue}}"),
                unit=units.Seconds,
                width=8,
                limits=Thresholds(warn=5, bad=120),
            ),
            graph(
                "Oldest message",
                "How long the next message of each queue has waited.",
                Query(f"queue:darkroom_queue_oldest_age_seconds:max{{{QUEUE}}}", "{{queue}}"),
                unit=units.Seconds,
                width=8,
                limits=Thresholds(warn=60, bad=120),
            ),
            graph(
                "Fetched, not begun",
                "Messages that a worker holds and no child works on. More than a few: they wait behind slow ones.",
                Query(f"sum by (queue) (darkroom_worker_tasks_reserved{{{QUEUE}}})", "{{queue}}"),
                unit=units.Short,
                width=8,
            ),
        ],
    )


def _errors() -> Section:
    starts = f"changes(process_start_time_seconds{{{POOL}}}[$__rate_interval])"
    return Section(
        "Memory and errors",
        [
            graph(
                "Memory",
                "Resident memory of each worker with its children. A child is replaced when it has grown past 1 GiB.",
                Query(f"darkroom_worker_memory_bytes{{{QUEUE}}}", "{{queue}} {{instance}}"),
                unit=units.BytesIEC,
            ),
            graph(
                "Children lost",
                "Children that died at work, a second. Their messages come back, and are run again.",
                Query(rate("darkroom_worker_child_lost_total", QUEUE, by="queue"), "{{queue}}"),
                unit=units.CountsPerSecond,
            ),
            timeline("Answering", "Which workers answer Prometheus.", Query(f"up{{{POOL}}}", "{{pool}} {{instance}}")),
            graph(
                "Restarts, open files",
                "Starts of a worker's parent anew, and the files that it has open.",
                Query(starts, "{{pool}} {{instance}} starts"),
                Query(f"process_open_fds{{{POOL}}}", "{{pool}} {{instance}} files"),
                unit=units.Short,
            ),
        ],
    )
