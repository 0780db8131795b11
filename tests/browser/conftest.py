"""A stack that serves the page, and a headless Chromium to look at it with."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from hashlib import sha256

import httpx
import pytest
from playwright.async_api import Browser, BrowserContext, async_playwright, expect
from starlette.responses import HTMLResponse

from deploy.local.stack import Stack
from tests.browser.page_helpers import KEY, Visitor, new_context
from tests.conftest import SHORT_TIMEOUTS
from tests.integration.front_servers import run_application
from tests.integration.lone_gateway import LoneGateway, run_lone_gateway
from tests.support.http_options import HTTP_CLIENT_OPTIONS

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--process-per-site",  # a page opens in the process of another, where there is one
]
TIMEOUT_MS = 30_000


@pytest.fixture(scope="session")
def frontend_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Everything, running, with the page in front."""
    folder, pools = tmp_path_factory.mktemp("site"), {"resize": 1}
    with Stack(folder, shared_pool=1, pools=pools, environment=SHORT_TIMEOUTS, frontend=True) as stack:
        yield stack


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    """The origin of a page of somebody else."""
    with run_application(HTMLResponse("<!doctype html><title>A page of somebody else</title>")) as origin:
        yield origin


@pytest.fixture(scope="module")
def gateway(frontend_stack: Stack, origin: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoneGateway]:
    """A gateway of the stack that the page of that origin may use."""
    settings = {
        "DARKROOM_CORS__ORIGINS": json.dumps([origin]),
        "DARKROOM_BLOB_URL": frontend_stack.blob_folder.as_uri(),
    }
    with run_lone_gateway(frontend_stack, tmp_path_factory.mktemp("gateway"), **settings) as gateway:
        yield gateway


@pytest.fixture(scope="session")
def keyed_frontend_url(frontend_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the page in front of a second gateway of the same stack, one that asks for a key."""
    keys = {"DARKROOM_API_KEYS": json.dumps({"ann": sha256(KEY.encode()).hexdigest()})}
    with Stack(
        tmp_path_factory.mktemp("keyed_frontend_url"),
        redis_url=frontend_stack.redis_url,
        mongo_url=frontend_stack.mongo_url,
        workers=False,
        environment={**SHORT_TIMEOUTS, **keys, "DARKROOM_BLOB_URL": frontend_stack.blob_folder.as_uri()},
        frontend=True,
    ) as gateway:
        yield gateway.frontend_url


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Debian's Chromium, without a window of its own if there is one: a third of the cost. Without any, tests skip."""
    chromium = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    if chromium is None:
        reason = "chromium is not on PATH: .ci/run shows how it gets there"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    expect.set_options(timeout=TIMEOUT_MS)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        await browser.close()


@pytest.fixture(scope="session")
async def context(frontend_stack: Stack, browser: Browser) -> BrowserContext:
    """A window that the visitors use one after another; a page stays open, and so the process of the others."""
    context = await new_context(browser)
    await (await context.new_page()).goto(f"{frontend_stack.frontend_url}/icon.svg")
    return context


@pytest.fixture
async def visitor(frontend_stack: Stack, context: BrowserContext) -> AsyncIterator[Visitor]:
    """Somebody who looks at the page; no script of it may have failed in the end, none been blocked."""
    visitor = Visitor(context, frontend_stack.frontend_url)
    yield visitor
    await visitor.leave()
    assert visitor.page_errors == []


@pytest.fixture(scope="session")
def api(frontend_stack: Stack) -> Iterator[httpx.Client]:
    """An HTTP client of the gateway behind the page."""
    with httpx.Client(base_url=frontend_stack.url, timeout=30, **HTTP_CLIENT_OPTIONS) as client:
        yield client
