"""The pages of a shop, on an origin of their own, with the upload clients of other people that they use."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from tests.browser.npm import read_package_file
from tests.integration.front_servers import run_application

PAGES = Path(__file__).parent / "pages"
BUNDLES = {
    "uppy.js": ("uppy-6.0.1", "dist/uppy.min.js"),
    "dropzone.js": ("dropzone-6.3.5", "dist/dropzone-min.js"),
    "filepond.js": ("filepond-4.32.12", "dist/filepond.min.js"),
    "axios.js": ("axios-1.21.1", "dist/axios.min.js"),
    "tus.js": ("tus-js-client-4.3.1", "dist/tus.min.js"),
    "tus-specs.js": ("tus-js-client-4.3.1", "dist/browser-test-bundle.js"),
    "jasmine.js": ("jasmine-core-5.9.0", "lib/jasmine-core/jasmine.js"),
}


def serve_pages() -> AbstractContextManager[str]:
    """Serve the pages and the bundles inside the block, and yield their origin."""
    return run_application(
        Starlette(routes=[Route("/npm/{name}", _send_bundle), Mount("/", StaticFiles(directory=PAGES))])
    )


def _send_bundle(request: Request) -> Response:
    return Response(read_package_file(*BUNDLES[request.path_params["name"]]), media_type="text/javascript")
