"""CORS: pages of other origins may send requests and read the answers, if the settings name their origins."""

from __future__ import annotations

from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway import problems
from pipeline.http_settings import CorsSettings

METHODS = ("GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS")
REQUEST_HEADERS = (
    *("Authorization", "X-API-Key"),
    *("Content-Type", "Content-Disposition", "Content-Digest", "Idempotency-Key"),
    *("If-Match", "If-None-Match", "If-Range", "Range", "Last-Event-ID"),
    *("Tus-Resumable", "Upload-Length", "Upload-Offset", "Upload-Metadata", "Upload-Checksum", "Upload-Concat"),
    *("Upload-Defer-Length", "X-HTTP-Method-Override"),
    *("X-Request-ID", "traceparent", "tracestate", "baggage"),
    *("Cache-Control", "X-Requested-With"),  # sent by Dropzone, axios and EventSource's substitutes
)
"""Headers that pages may send, besides those that need no permission."""
ANSWER_HEADERS = (
    *("Location", "Link", "Retry-After", "ETag", "Repr-Digest"),
    *("Content-Disposition", "Content-Range", "Accept-Ranges"),
    *("RateLimit", "RateLimit-Policy", "X-Request-ID", "Idempotency-Replayed", "Task-ID", "View-Token"),
    *("Upload-Offset", "Upload-Length", "Upload-Metadata", "Upload-Expires"),
    *("Tus-Resumable", "Tus-Version", "Tus-Extension", "Tus-Max-Size", "Tus-Checksum-Algorithm"),
)
"""Headers that pages may read, besides those that need no permission."""
MAX_SHOWN_CHARACTERS = 100


class Cors(CORSMiddleware):
    """Starlette's middleware, with problem documents for preflights that it refuses. Without origins, it does nothing.

    Each answer has `Vary: Origin`, also without an Origin: a browser would otherwise give the cached answer of an
    `<img>` to a `fetch`, which may not read it. There are no cookies, and so no `Access-Control-Allow-Credentials`.
    """

    def __init__(self, app: ASGIApp, *, settings: CorsSettings) -> None:
        super().__init__(
            app,
            allow_origins=settings.origins,
            allow_methods=METHODS,
            allow_headers=REQUEST_HEADERS,
            expose_headers=ANSWER_HEADERS,
            allow_private_network=True,  # a page on the internet, a gateway in the local network
            max_age=settings.max_age,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a preflight, or serve the request and add the headers."""
        await (super().__call__ if self.allow_origins else self.app)(scope, receive, send)

    def preflight_response(self, request_headers: Headers) -> Response:
        """Say what the page may send. It is asked before keys are, because a preflight cannot have one."""
        answer = super().preflight_response(request_headers)
        if answer.status_code == HTTPStatus.OK:
            return answer
        del answer.headers["content-length"], answer.headers["content-type"]
        return problems.build_response(403, "cross_site", self._describe(request_headers), headers=answer.headers)

    async def send(self, message: Message, send: Send, request_headers: Headers) -> None:
        """Add the headers, unless a gateway behind this server has."""
        if message["type"] == "http.response.start" and "Origin" in _list_vary(Headers(raw=message["headers"])):
            await send(message)
        else:
            await super().send(message, send, request_headers)

    def _describe(self, request_headers: Headers) -> str:
        origin, method = request_headers["origin"], request_headers["access-control-request-method"]
        if not self.is_allowed_origin(origin):
            return (
                f"Pages of the origin {origin[:MAX_SHOWN_CHARACTERS]} may not use the gateway. To allow them, add the "
                "origin to DARKROOM_CORS__ORIGINS."
            )
        if method not in METHODS:
            return f"A page of another origin may only send the methods {', '.join(METHODS)}."
        return f"A page of another origin may only send the headers {', '.join(REQUEST_HEADERS)}."


def _list_vary(headers: Headers) -> list[str]:
    """Return the headers that an answer depends on."""
    return [name.strip() for value in headers.getlist("vary") for name in value.split(",")]
