"""The Workers dashboard: utilisation, saturation and errors of each pool."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard, units

from deploy.generate.dashboards.layout import Section, build_dashboard
from deploy.generate.dashboards.panels import Query, Thresholds, graph, number, timeline
from deploy.generate.dashboards.promql import increase, quantile, rate

QUEUE = 'queue=~"$queue"'
POOL = 'job="workers",pool=~"$queue"'
PROCESSES = f"sum by (queue) (darkroom_worker_pool_processes{{{QUEUE}}})"
CPU = "darkroom_worker_cpu_seconds_total"
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
    """Return the share of time that the children of a pool spend on stages."""
    return (
        f"sum{by} (rate(darkroom_stage_duration_seconds_sum{{{POOL}}}[$__rate_interval]))"
        f" / (sum{by} (darkroom_worker_pool_processes{{{POOL}}}) > 0)"
    )


def _glance() -> Section:
    return Section(
        "At a glance",
        [
            number("Workers", "Workers that Prometheus reaches.", f"sum(up{{{POOL}}})", unit=units.Short),
            number("Children", "Child processes, which run the stages.", f"sum({PROCESSES})", unit=units.Short),
            number(
                "Busy",
                "Share of time that all children spend on stages.",
                _busy(""),
                unit=units.PercentUnit,
                limits=FULL,
            ),
            number(
                "Waiting",
                "Messages that wait in all queues.",
                f"sum(queue:darkroom_queue_length:max{{{QUEUE}}})",
                unit=units.Short,
            ),
            number(
                "Memory",
                "Resident memory of all workers and their children.",
                f"sum(darkroom_worker_memory_bytes{{{QUEUE}}})",
                unit=units.BytesIEC,
            ),
            number(
                "Children lost",
                "Children that were killed, ran out of memory or crashed, in the time range shown.",
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
                "Share of time that the children of a pool spend on stages. Near 100 %: add workers.",
                Query(_busy(" by (pool)"), "{{pool}}"),
                unit=units.PercentUnit,
                limits=FULL,
            ),
            graph(
                "CPU",
                "Cores that each worker and its children use. A container has DARKROOM_WORKER_CPUS of them (1).",
                Query(f"rate({CPU}{{{QUEUE}}}[$__rate_interval])", "{{queue}} {{instance}}"),
                unit=units.Short,
            ),
            graph(
                "Active children",
                "Messages that children are working on now, and the number of children.",
                Query(f"sum by (queue) (darkroom_worker_tasks_active{{{QUEUE}}})", "{{queue}} active"),
                Query(PROCESSES, "{{queue}} children"),
                unit=units.Short,
            ),
        ],
        width=8,
    )


def _saturation() -> Section:
    return Section(
        "Saturation",
        [
            graph(
                "Wait in the queue, p95",
                "95 % of the stages were claimed within this time after they were due.",
                Query(quantile(0.95, "darkroom_stage_queue_wait_seconds", QUEUE, by="queue"), "{{queue}}"),
                unit=units.Seconds,
                limits=Thresholds(warn=5, bad=120),
            ),
            graph(
                "Oldest message",
                "How long the next message of each queue has waited.",
                Query(f"queue:darkroom_queue_oldest_age_seconds:max{{{QUEUE}}}", "{{queue}}"),
                unit=units.Seconds,
                limits=Thresholds(warn=60, bad=120),
            ),
            graph(
                "Fetched, not started",
                "Messages that a worker has fetched but not started. More than a few: they wait behind slow ones.",
                Query(f"sum by (queue) (darkroom_worker_tasks_reserved{{{QUEUE}}})", "{{queue}}"),
                unit=units.Short,
            ),
        ],
        width=8,
    )


def _errors() -> Section:
    starts = f"changes(process_start_time_seconds{{{POOL}}}[$__rate_interval])"
    return Section(
        "Memory and errors",
        [
            graph(
                "Memory",
                "Resident memory of each worker and its children. A child that uses more than 1 GiB is replaced.",
                Query(f"darkroom_worker_memory_bytes{{{QUEUE}}}", "{{queue}} {{instance}}"),
                unit=units.BytesIEC,
            ),
            graph(
                "Children lost",
                "Children that died unexpectedly, per second. Their messages are delivered again.",
                Query(rate("darkroom_worker_child_lost_total", QUEUE, by="queue"), "{{queue}}"),
                unit=units.CountsPerSecond,
            ),
            timeline("Workers up", "Workers that Prometheus reaches.", Query(f"up{{{POOL}}}", "{{pool}} {{instance}}")),
            graph(
                "Restarts, open files",
                "Restarts of each worker's parent process, and its open files.",
                Query(starts, "{{pool}} {{instance}} restarts"),
                Query(f"process_open_fds{{{POOL}}}", "{{pool}} {{instance}} files"),
                unit=units.Short,
            ),
        ],
    )
