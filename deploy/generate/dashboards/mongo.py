"""The MongoDB dashboard: operations, cache, size. Its metrics are those of mongo-exporter, which is off by default."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard, units

from deploy.generate.dashboards.layout import Section, build_dashboard
from deploy.generate.dashboards.panels import Query, Thresholds, graph, number
from deploy.generate.dashboards.promql import rate

CACHE = "mongodb_ss_wt_cache"
USED, LIMIT = f"{CACHE}_bytes_currently_in_the_cache", f"{CACHE}_maximum_bytes_configured"
DIRTY = f"{CACHE}_tracked_dirty_bytes_in_the_cache"
OPERATIONS, LATENCY = "mongodb_ss_opLatencies_ops", "mongodb_ss_opLatencies_latency"
OURS = 'database="darkroom"'


def board() -> dashboard.Dashboard:
    """Return the dashboard."""
    return build_dashboard(
        "Darkroom: MongoDB",
        uid="darkroom-mongo",
        description="MongoDB itself. Empty unless the profile `exporters` is on (deploy/docs/OBSERVABILITY.md).",
        sections=[_glance(), _operations(), _storage()],
    )


def _glance() -> Section:
    return Section(
        "At a glance",
        [
            number("Up", "Whether the exporter reaches MongoDB.", "min(mongodb_up)", unit=units.Short),
            number("Running for", "Time since its start.", "max(mongodb_ss_uptime)", unit=units.Seconds),
            number(
                "Connections",
                "Open connections.",
                'sum(mongodb_ss_connections{conn_type="current"})',
                unit=units.Short,
            ),
            number("Operations", "Operations per second.", rate(OPERATIONS), unit=units.OpsPerSecond),
            number(
                "Cache used",
                "Share of WiredTiger's cache. Above 95 %, requests help to evict, and get slow.",
                f"max({USED} / ({LIMIT} > 0))",
                unit=units.PercentUnit,
                limits=Thresholds(warn=0.9, bad=0.95),
            ),
            number(
                "Documents",
                "Documents in Darkroom's database.",
                f"max(mongodb_dbstats_objects{{{OURS}}})",
                unit=units.Short,
            ),
        ],
    )


def _operations() -> Section:
    return Section(
        "Operations",
        [
            graph(
                "Operations",
                "Operations per second, by kind.",
                Query(rate(OPERATIONS, by="op_type"), "{{op_type}}"),
                unit=units.OpsPerSecond,
            ),
            graph(
                "Mean time",
                "Mean time of an operation, by kind.",
                Query(
                    f"{rate(LATENCY, by='op_type')} / ({rate(OPERATIONS, by='op_type')} > 0)",
                    "{{op_type}}",
                ),
                unit=units.Microseconds,
            ),
            graph(
                "Connections",
                "Open connections, and how many more it takes.",
                Query("sum by (conn_type) (mongodb_ss_connections)", "{{conn_type}}"),
                unit=units.Short,
            ),
        ],
        width=8,
    )


def _storage() -> Section:
    return Section(
        "Memory and disk",
        [
            graph(
                "Cache",
                "Bytes in WiredTiger's cache, those of them not yet written, and its limit.",
                Query(f"max({USED})", "used"),
                Query(f"max({DIRTY})", "dirty"),
                Query(f"max({LIMIT})", "limit"),
                unit=units.BytesIEC,
            ),
            graph(
                "Darkroom's database",
                "Bytes of documents, as they are stored, and of indexes.",
                Query(f"max(mongodb_dbstats_dataSize{{{OURS}}})", "documents"),
                Query(f"max(mongodb_dbstats_storageSize{{{OURS}}})", "on disk"),
                Query(f"max(mongodb_dbstats_indexSize{{{OURS}}})", "indexes"),
                unit=units.BytesIEC,
            ),
        ],
    )
