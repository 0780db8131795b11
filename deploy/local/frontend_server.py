"""Serves the page and proxies the gateway under /api/, on one port and without nginx: for `./run up`."""

from __future__ import annotations

import os
import re
import string
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote

import httpx
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deploy.local.duplex import BODYLESS_METHODS, DuplexTransport
from gateway.middleware.body_limit import BodyLimit
from gateway.middleware.cors import Cors
from gateway.problem_handlers import handle_http_exception
from gateway.problems import RETRY_AFTER_SECONDS, Problem, build_response
from gateway.routes.events import end_stream_early
from gateway.server.serve import serve
from gateway.sizes import FORM_OVERHEAD_BYTES
from pipeline.settings import Settings

DEPLOY = Path(__file__).resolve().parents[1]
PAGE = DEPLOY / "frontend"
CLIENT = DEPLOY.parent / "gateway" / "js_client" / "darkroom.js"
HEADERS = DEPLOY / "nginx" / "page-headers.conf"
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
HOP_BY_HOP_HEADERS = frozenset({  # RFC 9110, section 7.6.1, and other headers between two servers only
    b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade",
})  # fmt: skip
UNTRUSTED_HEADERS = frozenset({b"x-forwarded-proto", b"x-forwarded-prefix", b"forwarded"})  # a client could forge them
SERVER_HEADERS = frozenset({b"server", b"date"})  # this server writes its own
TIMEOUT = httpx.Timeout(75, connect=3)  # a long poll takes up to 60 s, an event stream sends something every 15 s
NOT_SENT_ERRORS = (httpx.ConnectError, httpx.ConnectTimeout)
PREFIX = "/api"
PATH_PUNCTUATION = "/:@!$&'()*+,;="  # RFC 3986, section 3.3
EVENTS_PATH = re.compile(r"(task-status/[^/]+/)?events")


def read_page_headers() -> dict[str, str]:
    """Return the headers of the page, from nginx's configuration."""
    return dict(re.findall(r'^add_header (\S+) "(.*)" always;$', HEADERS.read_text(encoding="utf-8"), re.MULTILINE))


class PageHeaders:
    """ASGI middleware that adds the page's headers to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._headers = [(name.lower().encode(), value.encode()) for name, value in read_page_headers().items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request and add the headers."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *self._headers]
            await send(message)

        await self._app(scope, receive, send_with_headers)


async def proxy_request(request: Request) -> Response:
    """Forward the request to the gateway. Both bodies are streamed."""
    path = _path_on_gateway(request)
    if path.partition("/")[0] == "metrics":
        raise HTTPException(HTTPStatus.NOT_FOUND)
    transport: httpx.AsyncBaseTransport = request.state.transport
    try:
        return await _relay_response(await transport.handle_async_request(_build_request(request, path)))
    except ClientDisconnect:
        return Response(status_code=400)  # nobody receives it
    except Problem as error:
        return build_response(error.status, error.code, error.detail, headers=error.headers)
    except httpx.TransportError as error:
        return end_stream_early() if EVENTS_PATH.fullmatch(path) else describe_failure(error)


def describe_failure(error: httpx.TransportError) -> Response:
    """Return the answer for a gateway that has not answered. After a 503 any request may be repeated."""
    if isinstance(error, NOT_SENT_ERRORS):
        detail = "The gateway cannot be reached. It has not received the request. Try again."
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        return build_response(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", detail, headers=headers)
    if isinstance(error, httpx.TimeoutException):
        detail = "The gateway has not answered in time. It may have acted on the request."
        return build_response(HTTPStatus.GATEWAY_TIMEOUT, "gateway_timeout", detail)
    detail = "The connection to the gateway broke before its answer. It may have acted on the request."
    return build_response(HTTPStatus.BAD_GATEWAY, "bad_gateway", detail)


def _path_on_gateway(request: Request) -> str:
    """Return the path without the prefix. Links begin with it, and older clients put it before them once more."""
    path: str = request.path_params.get("path", "")
    while path.startswith(f"{PREFIX[1:]}/"):
        path = path.removeprefix(f"{PREFIX[1:]}/")
    return path


def _build_request(request: Request, path: str) -> httpx.Request:
    """Build the request for the gateway: the same path, query, headers and body, as bytes.

    An `httpx.URL` would resolve `..` in the path, and an `httpx.AsyncClient` would add headers of its own.
    """
    has_body = request.method not in BODYLESS_METHODS
    dropped = HOP_BY_HOP_HEADERS | UNTRUSTED_HEADERS | (frozenset() if has_body else {b"content-length"})
    headers = [(name, value.strip(b" \t")) for name, value in request.headers.raw if name not in dropped]
    client_host = request.client.host if request.client else ""
    headers += [(b"x-forwarded-for", client_host.encode()), (b"x-forwarded-prefix", PREFIX.encode())]
    target = quote(f"/{path}", safe=PATH_PUNCTUATION)
    if query := request.scope["query_string"]:
        target += f"?{quote(query, safe=string.punctuation)}"
    return httpx.Request(
        request.method,
        request.state.gateway,
        headers=headers,
        content=request.stream() if has_body else None,
        extensions={"target": target.encode(), "timeout": TIMEOUT.as_dict()},
    )


async def _relay_response(answer: httpx.Response) -> Response:
    """Return the gateway's answer as our own. An error is read whole, other answers are streamed.

    A StreamingResponse reads from the client before it starts: a client that expects 100 would then send its body.
    """
    if answer.is_error:
        response = Response(b"".join([piece async for piece in _stream_body(answer)]), answer.status_code)
    else:
        response = StreamingResponse(_stream_body(answer), answer.status_code)
    headers = [(name.lower(), value) for name, value in answer.headers.raw]
    response.raw_headers = [header for header in headers if header[0] not in HOP_BY_HOP_HEADERS | SERVER_HEADERS]
    return response


async def _stream_body(answer: httpx.Response) -> AsyncIterator[bytes]:
    """Yield an answer's bytes. Close its connection at the end, even if nobody reads the rest."""
    try:
        async for piece in answer.aiter_raw():
            yield piece
    finally:
        await answer.aclose()


async def _handle_unexpected_error(_: Request, __: Exception) -> Response:
    """Answer without the error's text, which uvicorn logs."""
    return build_response(
        HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", "The server of the page failed unexpectedly. Try again."
    )


HANDLERS = {HTTPException: handle_http_exception, Exception: _handle_unexpected_error}


def create_app(gateway: str, links: Mapping[str, str]) -> Starlette:
    """Build the front server of a gateway. The page reads `links` as settings.json."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[Mapping[str, object]]:
        async with DuplexTransport() as transport:
            yield {"transport": transport, "gateway": httpx.URL(gateway)}

    async def send_links(_: Request) -> Response:
        return JSONResponse(dict(links))

    client_files = StaticFiles(directory=CLIENT.parent)

    async def client(request: Request) -> Response:
        return await client_files.get_response(CLIENT.name, request.scope)

    page_files = Mount("/", StaticFiles(directory=PAGE, html=True))
    files = [Route("/settings.json", send_links), Route("/client.js", client), page_files]
    page = Starlette(routes=files, middleware=[Middleware(PageHeaders)], exception_handlers=HANDLERS)
    settings = Settings()
    limit = settings.limits.upload_bytes + FORM_OVERHEAD_BYTES
    api = Starlette(
        routes=[Route("/{path:path}", proxy_request, methods=METHODS)],
        middleware=[Middleware(BodyLimit, limit=limit)],
        exception_handlers=HANDLERS,
    )
    readable_api = Cors(api, settings=settings.cors)  # the errors of this server, too
    routes = [Route(PREFIX, proxy_request, methods=METHODS), Mount(PREFIX, readable_api), Mount("/", page)]
    return Starlette(routes=routes, lifespan=lifespan, exception_handlers=HANDLERS)


def production() -> Starlette:
    """Build the front server from the environment, for `serve`."""
    links = {name: os.environ.get(f"DARKROOM_FRONT_{name.upper()}") for name in ("flower", "grafana")}
    return create_app(os.environ["DARKROOM_FRONT_GATEWAY"], {name: link for name, link in links.items() if link})


if __name__ == "__main__":
    serve("deploy.local.frontend_server:production", default_port=8000)
