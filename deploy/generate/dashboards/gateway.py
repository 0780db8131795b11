"""Gateway: what is asked of it and how it answers, what is uploaded, and how its stores do."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard, units

from deploy.generate.dashboards.layout import Section, build_dashboard
from deploy.generate.dashboards.panels import Query, Thresholds, graph, heat, number, timeline
from deploy.generate.dashboards.promql import buckets, mean, quantile, rate

WITHOUT_PROBES = 'route!~"/livez|/readyz|/metrics"'
WITHOUT_PROBES_AND_STREAMS = f'{WITHOUT_PROBES},route!~".*/events"'
"""Without streams of events, which last as long as their reader likes."""
REQUESTS, SECONDS = "darkroom_http_requests_total", "darkroom_http_request_duration_seconds"
SELF = 'job="gateway"'


def board() -> dashboard.Dashboard:
    """Return the dashboard."""
    return build_dashboard(
        "Darkroom: Gateway",
        uid="darkroom-gateway",
        description="Rate, errors and duration of requests, uploads and refusals, and the stores behind them.",
        sections=[_glance(), _requests(), _uploads(), _stores(), _processes()],
    )


def _glance() -> Section:
    return Section(
        "At a glance",
        [
            number(
                "Requests",
                "Requests a second, without probes.",
                rate(REQUESTS, WITHOUT_PROBES),
                unit=units.RequestsPerSecond,
            ),
            number(
                "Server errors",
                "Share of the answers of five minutes that were 5xx, without probes. None in silence.",
                "darkroom:http_requests_5xx:ratio_rate5m or vector(0)",
                unit=units.PercentUnit,
                limits=Thresholds(warn=0.01, bad=0.05),
            ),
            number(
                "p95 of an upload",
                "95 % of POSTs are answered within this time, the transfer included.",
                quantile(0.95, SECONDS, 'method="POST"'),
                unit=units.Seconds,
                limits=Thresholds(warn=2.5, bad=10),
            ),
            number(
                "Being answered",
                "Requests under way, long polls included.",
                "sum(darkroom_http_requests_in_progress)",
                unit=units.Short,
            ),
            number(
                "Stores up",
                "Of Redis, MongoDB and the blobs, how many every gateway reaches.",
                "sum(min by (dependency) (darkroom_dependency_up))",
                unit=units.Short,
                limits=Thresholds(warn=3, bad=2),
            ),
            number(
                "Disk of the blobs, free",
                "Share of the disk; nothing where blobs are in an object store.",
                "darkroom:blob_store_free:ratio",
                unit=units.PercentUnit,
                limits=Thresholds(warn=0.2, bad=0.1),
            ),
        ],
    )


def _requests() -> Section:
    return Section(
        "Requests: rate, errors, duration",
        [
            graph(
                "Requests by route",
                "Requests a second. `unmatched` are paths that do not exist.",
                Query(rate(REQUESTS, by="method, route"), "{{method}} {{route}}"),
                unit=units.RequestsPerSecond,
                stacked=True,
            ),
            graph(
                "Answers that were errors",
                "Answers of 400 and above a second, by route and status.",
                Query(rate(REQUESTS, f'{WITHOUT_PROBES},status=~"[45].."', by="status, route"), "{{status}} {{route}}"),
                unit=units.RequestsPerSecond,
            ),
            graph(
                "Time to answer, p95",
                "From a request's head to its answer's end. A status asked for with `?wait=` takes as long.",
                Query(quantile(0.95, SECONDS, WITHOUT_PROBES_AND_STREAMS, by="method, route"), "{{method}} {{route}}"),
                unit=units.Seconds,
            ),
            heat(
                "Time to answer",
                "Of all requests but probes and streams.",
                buckets(SECONDS, WITHOUT_PROBES_AND_STREAMS),
                unit=units.Seconds,
            ),
        ],
    )


def _uploads() -> Section:
    return Section(
        "Uploads and refusals",
        [
            heat("Size of uploads", "Of the files taken in.", buckets("darkroom_upload_bytes"), unit=units.BytesIEC),
            graph(
                "Bytes taken in",
                "Bytes of the files taken in, a second; and the mean file.",
                Query(rate("darkroom_upload_bytes_sum"), "a second"),
                Query(mean("darkroom_upload_bytes"), "mean file"),
                unit=units.BytesIEC,
            ),
            graph(
                "Requests for a job",
                "A second, by what came of them. Deduplicated and replayed: answered from an earlier one.",
                Query(rate("darkroom_jobs_submitted_total", by="result"), "{{result}}"),
                unit=units.RequestsPerSecond,
                stacked=True,
            ),
            graph(
                "Refusals by code",
                "Answers that were problems, a second, by their code.",
                Query(rate("darkroom_http_problems_total", by="code"), "{{code}}"),
                unit=units.RequestsPerSecond,
                stacked=True,
            ),
        ],
    )


def _stores() -> Section:
    free, size = "darkroom_blob_store_free_bytes", "darkroom_blob_store_size_bytes"
    return Section(
        "Stores",
        [
            timeline(
                "Reached",
                "Whether a gateway reaches its stores. Uploads wait without Redis, and get 503 without another.",
                Query("min by (dependency, instance) (darkroom_dependency_up)", "{{dependency}} from {{instance}}"),
                width=8,
            ),
            graph(
                "Time of a check",
                "How long the last check of each store took.",
                Query("max by (dependency) (darkroom_dependency_check_seconds)", "{{dependency}}"),
                unit=units.Seconds,
                width=8,
                limits=Thresholds(warn=0.5, bad=2),
            ),
            graph(
                "Disk of the blobs",
                "Bytes free and in all; nothing where blobs are in an object store.",
                Query(f"min({free})", "free"),
                Query(f"max({size})", "in all"),
                unit=units.BytesIEC,
                width=8,
            ),
        ],
    )


def _processes() -> Section:
    cpu = f"rate(process_cpu_seconds_total{{{SELF}}}[$__rate_interval])"
    return Section(
        "Processes",
        [
            timeline("Answering", "Which gateways answer Prometheus.", Query(f"up{{{SELF}}}", "{{instance}}"), width=6),
            graph(
                "Processor",
                "Share of one core. A gateway has one process: near 100 % it is time for another.",
                Query(cpu, "{{instance}}"),
                unit=units.PercentUnit,
                width=6,
                limits=Thresholds(warn=0.7, bad=0.9),
            ),
            graph(
                "Memory",
                "Resident memory.",
                Query(f"process_resident_memory_bytes{{{SELF}}}", "{{instance}}"),
                unit=units.BytesIEC,
                width=6,
            ),
            graph(
                "Open files",
                "Files and sockets.",
                Query(f"process_open_fds{{{SELF}}}", "{{instance}}"),
                unit=units.Short,
                width=6,
            ),
        ],
    )
