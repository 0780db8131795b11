"""The Gateway dashboard: requests, uploads, refusals, stores and processes."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard, units

from deploy.generate.dashboards.layout import Section, build_dashboard
from deploy.generate.dashboards.panels import Query, Thresholds, graph, heat, number, timeline
from deploy.generate.dashboards.promql import buckets, mean, quantile, rate

WITHOUT_PROBES = 'route!~"/livez|/readyz|/metrics"'
WITHOUT_PROBES_AND_STREAMS = f'{WITHOUT_PROBES},route!~".*/events"'
"""Without event streams, which last as long as the client stays connected."""
REQUESTS, SECONDS = "darkroom_http_requests_total", "darkroom_http_request_duration_seconds"
SELF = 'job="gateway"'


def board() -> dashboard.Dashboard:
    """Return the dashboard."""
    return build_dashboard(
        "Darkroom: Gateway",
        uid="darkroom-gateway",
        description="Rate, errors and duration of requests; uploads and refusals; the stores behind them.",
        sections=[_glance(), _requests(), _uploads(), _stores(), _processes()],
    )


def _glance() -> Section:
    return Section(
        "At a glance",
        [
            number(
                "Requests",
                "Requests per second, without probes.",
                rate(REQUESTS, WITHOUT_PROBES),
                unit=units.RequestsPerSecond,
            ),
            number(
                "Server errors",
                "Share of responses with a 5xx status in the last five minutes, without probes. 0 without requests.",
                "darkroom:http_requests_5xx:ratio_rate5m or vector(0)",
                unit=units.PercentUnit,
                limits=Thresholds(warn=0.01, bad=0.05),
            ),
            number(
                "p95 of an upload",
                "95 % of POST requests are answered within this time, including the transfer.",
                quantile(0.95, SECONDS, 'method="POST"'),
                unit=units.Seconds,
                limits=Thresholds(warn=2.5, bad=10),
            ),
            number(
                "In progress",
                "Requests in progress, including long polls.",
                "sum(darkroom_http_requests_in_progress)",
                unit=units.Short,
            ),
            number(
                "Stores up",
                "Share of the stores that every gateway reaches: MongoDB, Redis, the blob store, RabbitMQ if used.",
                "avg(min by (dependency) (darkroom_dependency_up))",
                unit=units.PercentUnit,
                limits=Thresholds(warn=1, bad=0.9),
            ),
            number(
                "Blob disk, free",
                "Free share of the blob disk. Empty when the blobs are in an object store.",
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
                "Requests per second. `unmatched` stands for paths without a route.",
                Query(rate(REQUESTS, by="method, route"), "{{method}} {{route}}"),
                unit=units.RequestsPerSecond,
                stacked=True,
            ),
            graph(
                "Error responses",
                "Responses per second with a status of 400 or above, by route and status.",
                Query(rate(REQUESTS, f'{WITHOUT_PROBES},status=~"[45].."', by="status, route"), "{{status}} {{route}}"),
                unit=units.RequestsPerSecond,
            ),
            graph(
                "Response time, p95",
                "From the head of a request to the end of its response, including the wait of long polls (`?wait=`).",
                Query(quantile(0.95, SECONDS, WITHOUT_PROBES_AND_STREAMS, by="method, route"), "{{method}} {{route}}"),
                unit=units.Seconds,
            ),
            heat(
                "Response time",
                "Distribution over all requests except probes and event streams.",
                buckets(SECONDS, WITHOUT_PROBES_AND_STREAMS),
                unit=units.Seconds,
            ),
        ],
    )


def _uploads() -> Section:
    return Section(
        "Uploads and refusals",
        [
            heat(
                "Size of uploads",
                "Distribution of the sizes of uploaded files.",
                buckets("darkroom_upload_bytes"),
                unit=units.BytesIEC,
            ),
            graph(
                "Uploaded bytes",
                "Uploaded bytes per second, and the mean size of a file.",
                Query(rate("darkroom_upload_bytes_sum"), "per second"),
                Query(mean("darkroom_upload_bytes"), "mean file"),
                unit=units.BytesIEC,
            ),
            graph(
                "Submissions",
                "Submissions per second, by result. Deduplicated or replayed: answered from an earlier one.",
                Query(rate("darkroom_jobs_submitted_total", by="result"), "{{result}}"),
                unit=units.RequestsPerSecond,
                stacked=True,
            ),
            graph(
                "Refusals by code",
                "Problem responses per second, by code.",
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
                "Stores reached",
                "Whether each gateway reaches its stores. Without the broker, uploads are accepted and wait; without"
                " MongoDB or the blob store, they are answered 503.",
                Query("min by (dependency, instance) (darkroom_dependency_up)", "{{dependency}} from {{instance}}"),
            ),
            graph(
                "Check duration",
                "Duration of the last check of each store.",
                Query("max by (dependency) (darkroom_dependency_check_seconds)", "{{dependency}}"),
                unit=units.Seconds,
                limits=Thresholds(warn=0.5, bad=2),
            ),
            graph(
                "Blob disk",
                "Free and total bytes of the blob disk. Empty when the blobs are in an object store.",
                Query(f"min({free})", "free"),
                Query(f"max({size})", "total"),
                unit=units.BytesIEC,
            ),
        ],
        width=8,
    )


def _processes() -> Section:
    cpu = f"rate(process_cpu_seconds_total{{{SELF}}}[$__rate_interval])"
    return Section(
        "Processes",
        [
            timeline(
                "Gateways and frontend up",
                "Gateways and nginx, as Prometheus reaches them.",
                Query('up{job=~"gateway|frontend"}', "{{job}} {{instance}}"),
            ),
            graph(
                "CPU",
                "Share of one core. A gateway has one process: near 100 %, add another gateway.",
                Query(cpu, "{{instance}}"),
                unit=units.PercentUnit,
                limits=Thresholds(warn=0.7, bad=0.9),
            ),
            graph(
                "Memory",
                "Resident memory of each gateway.",
                Query(f"process_resident_memory_bytes{{{SELF}}}", "{{instance}}"),
                unit=units.BytesIEC,
            ),
            graph(
                "Open files",
                "Open files and sockets of each gateway.",
                Query(f"process_open_fds{{{SELF}}}", "{{instance}}"),
                unit=units.Short,
            ),
            graph(
                "Connections of nginx",
                "Reading: a request arrives. Writing: it is answered. Waiting: open for the next request.",
                *(
                    Query(f"sum(nginx_connections_{state})", state)
                    for state in ("active", "reading", "writing", "waiting")
                ),
                unit=units.Short,
            ),
            graph(
                "New connections of nginx",
                "Connections per second, of clients and to the gateway.",
                Query(rate("nginx_connections_opened_total"), "opened"),
                unit=units.CountsPerSecond,
            ),
        ],
        width=8,
    )
