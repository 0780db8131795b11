"""The access log: gives each request an id, logs it in one line and counts it."""

from __future__ import annotations

import re
from time import perf_counter
from uuid import uuid4

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, clear_contextvars

from gateway.metrics import GatewayMetrics
from gateway.routing import UNMATCHED, route_of
from pipeline import traces

HEADER = "X-Request-ID"
UNLOGGED_ROUTES = frozenset({"/livez", "/readyz", "/metrics", "/task-status/{task_id}"})
"""Routes whose successes are counted but not logged: they are polled, and their lines would hide the others."""
BAD_REQUEST, SERVER_ERROR, INTERNAL_ERROR_CODE = 400, 500, "internal_error"
CLIENT_GONE = 499  # nginx's own status: the client closed the connection before the answer
MAX_LOGGED_CHARACTERS = 200

_SAFE = re.compile(r"[A-Za-z0-9._~:/+=-]{1,128}")
_TRACEPARENT = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")

log = structlog.get_logger("gateway")


class AccessLog:
    """ASGI middleware around most others. It puts the id into the log context and the request's state.

    The job that the request creates keeps the id. The log context stays bound after the request, because the server
    logs an unhandled error only then.
    """

    def __init__(self, app: ASGIApp, *, metrics: GatewayMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Give the request an id, serve it, then log and count it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = request_id_of(Headers(scope=scope)) or traces.trace_id() or uuid4().hex
        clear_contextvars()
        bind_contextvars(request_id=request_id)
        traces.annotate(request_id=request_id)
        scope.setdefault("state", {})["request_id"] = request_id
        exchange = _Exchange(scope, receive, send, request_id, self._metrics)
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except Exception:  # a handler outside this middleware answers it
            exchange.status = exchange.status or SERVER_ERROR
            scope["state"]["problem"] = INTERNAL_ERROR_CODE
            raise
        finally:
            exchange.finish()


class _Exchange:
    """One request and its answer: counts bytes, notes the status and times it."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, request_id: str, metrics: GatewayMetrics) -> None:
        self.status: int | None = None
        self._scope = scope
        self._receive = receive
        self._send = send
        self._request_id = request_id
        self._metrics = metrics
        self._metrics.in_progress.inc()
        self._start = perf_counter()
        self._bytes_in = 0
        self._is_finished = False

    async def receive(self) -> Message:
        """Count the bytes of the body."""
        message = await self._receive()
        self._bytes_in += len(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        """Add the id to the answer's headers. Finish at its last byte: background tasks run after it."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            MutableHeaders(scope=message)[HEADER] = self._request_id
        await self._send(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self.finish()

    def finish(self) -> None:
        """Count and log the request, once. Without a status, the client closed the connection before the answer."""
        if self._is_finished:
            return
        self._is_finished = True
        self._metrics.in_progress.dec()
        route, seconds = route_of(self._scope), perf_counter() - self._start
        self._metrics.count_request(
            self._scope["method"],
            route,
            status=self.status or CLIENT_GONE,
            seconds=seconds,
            problem=self._scope["state"].get("problem"),
        )
        is_logged = route not in UNLOGGED_ROUTES or self.status is None or self.status >= BAD_REQUEST
        if is_logged:
            self._log(route, seconds)

    def _log(self, route: str, seconds: float) -> None:
        log.info(
            "request.served",
            method=self._scope["method"],
            **({"path": self._scope["path"][:MAX_LOGGED_CHARACTERS]} if route == UNMATCHED else {"route": route}),
            **self._ids(),
            status=self.status,
            ms=round(seconds * 1000, 1),
            bytes_in=self._bytes_in,
        )

    def _ids(self) -> dict[str, str]:
        """Return the id of the job in the path, and the code of the problem in the answer, if any."""
        job_id = self._scope.get("path_params", {}).get("task_id")
        code = self._scope["state"].get("problem")
        return {
            name: value[:MAX_LOGGED_CHARACTERS] for name, value in {"task_id": job_id, "code": code}.items() if value
        }


def request_id_of(headers: Headers) -> str | None:
    """Return the id that the client sent: X-Request-ID, or the trace id of traceparent (W3C Trace Context)."""
    request_id = headers.get(HEADER, "")
    if _SAFE.fullmatch(request_id):
        return request_id
    match = _TRACEPARENT.fullmatch(headers.get("traceparent", ""))
    if match is None or (match[1] == "00" and match[3]):  # later versions may have more fields
        return None
    return match[2]
