"""An OTLP collector for tests: takes spans over HTTP, as the exporters of the stack send them, and keeps them."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as WireSpan

Value = str | int | float | bool | None


@dataclass(frozen=True)
class Span:
    """A span as it arrived."""

    service: str
    name: str
    kind: str
    trace_id: str
    id: str
    parent_id: str
    start_ns: int
    end_ns: int
    attributes: dict[str, Value]
    links: list[str]

    def darkroom_attribute(self, name: str) -> Value:
        """Return what the pipeline itself said of this span."""
        return self.attributes.get(f"darkroom.{name}")


@dataclass
class Collector:
    """Where to send spans, and what has arrived."""

    url: str
    spans: list[Span] = field(default_factory=list)

    def trace(self, trace_id: str) -> dict[str, Span]:
        """Return the spans of one trace that have arrived so far, by their ids."""
        return {span.id: span for span in list(self.spans) if span.trace_id == trace_id}

    def add_request(self, body: bytes) -> None:
        """Keep the spans of one request."""
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            service = str(_values(group.resource.attributes)["service.name"])
            self.spans += [_span(service, wire) for scope in group.scope_spans for wire in scope.spans]


@contextmanager
def run_collector() -> Iterator[Collector]:
    """Run a collector until the block ends."""

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the name that http.server asks for
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.add_request(gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body)
            self.send_response(200 if self.path == "/v1/traces" else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        collector = Collector(f"http://127.0.0.1:{server.server_port}")
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join()


def _span(service: str, wire: WireSpan) -> Span:
    return Span(
        service=service,
        name=wire.name,
        kind=WireSpan.SpanKind.Name(wire.kind).removeprefix("SPAN_KIND_"),
        trace_id=wire.trace_id.hex(),
        id=wire.span_id.hex(),
        parent_id=wire.parent_span_id.hex(),
        start_ns=wire.start_time_unix_nano,
        end_ns=wire.end_time_unix_nano,
        attributes=_values(wire.attributes),
        links=[link.span_id.hex() for link in wire.links],
    )


def _values(pairs: Iterator[KeyValue]) -> dict[str, Value]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Value:
    kind = value.WhichOneof("value")
    found: Value = getattr(value, kind) if kind in {"string_value", "int_value", "double_value", "bool_value"} else None
    return found
