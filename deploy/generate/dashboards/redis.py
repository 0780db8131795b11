"""The Redis dashboard: memory, clients, commands. Its metrics are those of redis-exporter, which is off by default."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard, units

from deploy.generate.dashboards.layout import Section, build_dashboard
from deploy.generate.dashboards.panels import Query, Thresholds, graph, number
from deploy.generate.dashboards.promql import rate

USED = "redis_memory_used_bytes / (redis_memory_max_bytes > 0)"


def board() -> dashboard.Dashboard:
    """Return the dashboard."""
    return build_dashboard(
        "Darkroom: Redis",
        uid="darkroom-redis",
        description="Redis itself. Empty unless the profile `exporters` is on (deploy/docs/OBSERVABILITY.md).",
        sections=[_glance(), _memory(), _work()],
    )


def _glance() -> Section:
    return Section(
        "At a glance",
        [
            number("Up", "Whether the exporter reaches Redis.", "min(redis_up)", unit=units.Short),
            number("Running for", "Time since its start.", "max(redis_uptime_in_seconds)", unit=units.Seconds),
            number(
                "Memory used",
                "Share of `maxmemory`. A full Redis accepts no message.",
                f"max({USED})",
                unit=units.PercentUnit,
                limits=Thresholds(warn=0.75, bad=0.9),
            ),
            number("Clients", "Open connections.", "sum(redis_connected_clients)", unit=units.Short),
            number("Commands", "Commands per second.", rate("redis_commands_processed_total"), unit=units.OpsPerSecond),
            number(
                "Evicted",
                "Keys evicted since its start. It must stay 0: Redis may drop no message (`noeviction`).",
                "sum(redis_evicted_keys_total)",
                unit=units.Short,
                limits=Thresholds(warn=1, bad=1),
            ),
        ],
    )


def _memory() -> Section:
    return Section(
        "Memory",
        [
            graph(
                "Memory",
                "Used bytes, and the most that it may use.",
                Query("redis_memory_used_bytes", "used"),
                Query("redis_memory_used_rss_bytes", "resident"),
                Query("redis_memory_max_bytes", "limit"),
                unit=units.BytesIEC,
            ),
            graph("Keys", "Keys in each database.", Query("redis_db_keys", "{{db}}"), unit=units.Short),
        ],
    )


def _work() -> Section:
    cpu = "rate(redis_cpu_{}_seconds_total[$__rate_interval])"
    return Section(
        "Work",
        [
            graph(
                "Commands",
                "Commands per second, by command.",
                Query(rate("redis_commands_total", by="cmd"), "{{cmd}}"),
                unit=units.OpsPerSecond,
                stacked=True,
            ),
            graph(
                "Time of commands",
                "Share of a second that Redis spends on each command. It has one thread: near 100 %, it is full.",
                Query(rate("redis_commands_duration_seconds_total", by="cmd"), "{{cmd}}"),
                unit=units.PercentUnit,
                stacked=True,
            ),
            graph(
                "CPU",
                "Share of one core.",
                Query(cpu.format("user"), "user"),
                Query(cpu.format("sys"), "system"),
                unit=units.PercentUnit,
            ),
            graph(
                "Clients",
                "Open connections, those that wait for a message, and connections refused per second.",
                Query("redis_connected_clients", "connected"),
                Query("redis_blocked_clients", "waiting"),
                Query(rate("redis_rejected_connections_total"), "refused per second"),
                unit=units.Short,
            ),
        ],
    )
