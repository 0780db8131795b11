"""The OpenAPI document and Swagger UI, served without other servers and without an API key."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path

from fastapi import HTTPException, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles

from gateway.dependencies import RootPathDep
from gateway.routing import Router

FOLDER = Path(__file__).parent / "swagger_ui"
FILES = {
    "start.js": "start.js",
    "swagger-ui.css": "dist/swagger-ui.css",
    "swagger-ui-bundle.js": "dist/swagger-ui-bundle.js",
    "favicon-32x32.png": "dist/favicon-32x32.png",
}
PATHS = frozenset({"/", "/docs", "/openapi.json", *(f"/docs/{name}" for name in FILES)})
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}

router = Router(include_in_schema=False)
_files = StaticFiles(directory=FOLDER)


@router.get("/")
async def root(root_path: RootPathDep) -> Response:
    """Redirect to the docs."""
    return RedirectResponse(f"{root_path}/docs", HTTPStatus.TEMPORARY_REDIRECT)


@router.get("/docs")
async def docs(request: Request) -> Response:
    """Send the page. It loads its files by relative paths, so that a reverse proxy can put it under a prefix."""
    return await _serve("index.html", request)


@router.get("/docs/{name}")
async def docs_file(name: str, request: Request) -> Response:
    """Send a file that the page loads."""
    if name not in FILES:
        raise HTTPException(HTTPStatus.NOT_FOUND, f"The docs have no file {name!r}. Open /docs instead.")
    return await _serve(FILES[name], request)


@router.get("/openapi.json")
async def openapi(request: Request, root_path: RootPathDep) -> Response:
    """Send the OpenAPI document. Its paths are relative to the root path."""
    return JSONResponse({**request.app.openapi(), "servers": [{"url": root_path or "/"}]}, headers=HEADERS)


async def _serve(path: str, request: Request) -> Response:
    response = await _files.get_response(path, request.scope)
    response.headers.update(HEADERS)
    return response
