"""Serves the page and proxies the gateway under /api/, on one port and without nginx: for `./run up`."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from http import HTTPStatus
from pathlib import Path

import httpx
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deploy.local.duplex import DuplexTransport
from gateway.app import FORM_OVERHEAD_BYTES
from gateway.middleware.body_limit import BodyLimit
from gateway.problem_handlers import handle_http_exception
from gateway.problems import RETRY_AFTER_SECONDS, BodyTooLarge, build_response
from gateway.routes.events import end_stream_early
from gateway.server.serve import serve
from pipeline.settings import Settings

DEPLOY = Path(__file__).resolve().parents[1]
PAGE = DEPLOY / "frontend"
HEADERS = DEPLOY / "nginx" / "page-headers.conf"
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
HOP_BY_HOP_HEADERS = frozenset({  # RFC 9110, section 7.6.1, and other headers between two servers only
    "connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
})  # fmt: skip
UNTRUSTED_HEADERS = frozenset({"x-forwarded-proto", "x-forwarded-prefix", "forwarded"})  # the client could forge them
TIMEOUT = httpx.Timeout(75, connect=3)  # a long poll takes up to 60 s, an event stream sends something every 15 s
PREFIX = "/api"
EVENTS_PATH = re.compile(r"task-status/[^/]+/events")


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
    client: httpx.AsyncClient = request.state.client
    url = client.base_url.copy_with(path=f"/{path}", query=request.url.query.encode() or None)
    headers = [
        (name, value) for name, value in request.headers.items() if name not in HOP_BY_HOP_HEADERS | UNTRUSTED_HEADERS
    ]
    client_host = request.client.host if request.client else ""
    headers += [("x-forwarded-for", client_host), ("x-forwarded-prefix", PREFIX)]  # the first after what proxies wrote
    content = request.stream() if request.method not in {"GET", "HEAD"} else None
    upstream_request = client.build_request(request.method, url, headers=headers, content=content)
    try:
        return await _relay_response(await client.send(upstream_request, stream=True))
    except ClientDisconnect:
        return Response(status_code=400)  # nobody receives it
    except BodyTooLarge as error:
        return build_response(error.status, error.code, error.detail)
    except httpx.TransportError:
        if EVENTS_PATH.fullmatch(path):
            return end_stream_early()
        return build_response(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "unavailable",
            "The gateway does not answer. Try again.",
            headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
        )


def _path_on_gateway(request: Request) -> str:
    """Return the path without the prefix. Links begin with it, and older clients put it before them once more."""
    path: str = request.path_params.get("path", "")
    while path.startswith(f"{PREFIX[1:]}/"):
        path = path.removeprefix(f"{PREFIX[1:]}/")
    return path


async def _relay_response(answer: httpx.Response) -> Response:
    """Return the gateway's answer as our own. An error is read whole, other answers are streamed.

    A StreamingResponse reads from the client before it starts: a client that expects 100 would then send its body.
    """
    if answer.is_error:
        response = Response(b"".join([piece async for piece in _stream_body(answer)]), answer.status_code)
    else:
        response = StreamingResponse(_stream_body(answer), answer.status_code)
    response.raw_headers = [(name.lower(), value) for name, value in answer.headers.raw if _is_end_to_end(name)]
    return response


async def _stream_body(answer: httpx.Response) -> AsyncIterator[bytes]:
    """Yield an answer's bytes. Close its connection at the end, even if nobody reads the rest."""
    try:
        async for piece in answer.aiter_raw():
            yield piece
    finally:
        await answer.aclose()


def _is_end_to_end(name: bytes) -> bool:
    return name.lower().decode() not in HOP_BY_HOP_HEADERS | {"server", "date"}


def create_app(gateway: str, links: Mapping[str, str]) -> Starlette:
    """Build the front server of a gateway. The page reads `links` as settings.json."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[Mapping[str, httpx.AsyncClient]]:
        async with AsyncExitStack() as resources:
            client = httpx.AsyncClient(base_url=gateway, timeout=TIMEOUT, transport=DuplexTransport(), trust_env=False)
            yield {"client": await resources.enter_async_context(client)}

    async def settings(_: Request) -> Response:
        return JSONResponse(dict(links))

    handlers = {HTTPException: handle_http_exception}
    files = [Route("/settings.json", settings), Mount("/", StaticFiles(directory=PAGE, html=True))]
    page = Starlette(routes=files, middleware=[Middleware(PageHeaders)], exception_handlers=handlers)
    limit = Settings().limits.upload_bytes + FORM_OVERHEAD_BYTES
    api = Starlette(
        routes=[Route("/{path:path}", proxy_request, methods=METHODS)],
        middleware=[Middleware(BodyLimit, limit=limit)],
        exception_handlers=handlers,
    )
    routes = [Route(PREFIX, proxy_request, methods=METHODS), Mount(PREFIX, api), Mount("/", page)]
    return Starlette(routes=routes, lifespan=lifespan)


def production() -> Starlette:
    """Build the front server from the environment, for `serve`."""
    links = {name: os.environ.get(f"DARKROOM_FRONT_{name.upper()}") for name in ("flower", "grafana")}
    return create_app(os.environ["DARKROOM_FRONT_GATEWAY"], {name: link for name, link in links.items() if link})


if __name__ == "__main__":
    serve("deploy.local.frontend_server:production", default_port=8000, graceful_seconds=2)
