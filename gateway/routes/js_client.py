"""The JavaScript client, for pages of every origin: without an API key, as a file of this gateway's own version."""

from __future__ import annotations

from pathlib import Path

from fastapi import Request, Response
from fastapi.staticfiles import StaticFiles

from gateway.middleware import resource_policy
from gateway.routing import Router

FOLDER = Path(__file__).parents[1] / "js_client"
PATHS = frozenset({"/client.js", "/client.d.ts"})
HEADERS = {
    "Access-Control-Allow-Origin": "*",  # a page imports a module of another origin with CORS only
    resource_policy.HEADER: "cross-origin",
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
}

router = Router(include_in_schema=False)
_files = StaticFiles(directory=FOLDER)


@router.get("/client.js")
async def client(request: Request) -> Response:
    """Send the client, an ES module."""
    return await _serve("darkroom.js", "text/javascript", request)


@router.get("/client.d.ts")
async def client_types(request: Request) -> Response:
    """Send the client's types, for TypeScript."""
    return await _serve("darkroom.d.ts", "text/plain", request)


async def _serve(name: str, media_type: str, request: Request) -> Response:
    response = await _files.get_response(name, request.scope)
    response.headers.update({**HEADERS, "Content-Type": f"{media_type}; charset=utf-8"})
    return response
