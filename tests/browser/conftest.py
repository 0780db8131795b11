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

from deploy.stack import Stack
from tests.browser.steps import KEY, Visitor, new_context
from tests.conftest import IMPATIENT
from tests.direct import DIRECT_CLIENT

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
PATIENCE_MS = 30_000


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Everything, running, with the page in front."""
    folder, pools = tmp_path_factory.mktemp("site"), {"resize": 1}
    with Stack(folder, shared_pool=1, pools=pools, environment=IMPATIENT, frontend=True) as stack:
        yield stack


@pytest.fixture(scope="session")
def guarded(site: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the page in front of a second gateway of the same stack, one that asks for a key."""
    keys = {"DARKROOM_API_KEYS": json.dumps({"ann": sha256(KEY.encode()).hexdigest()})}
    with Stack(
        tmp_path_factory.mktemp("guarded"),
        redis_url=site.redis_url,
        mongo_url=site.mongo_url,
        workers=False,
        environment={**IMPATIENT, **keys, "DARKROOM_BLOB_URL": site.blob_folder.as_uri()},
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
    expect.set_options(timeout=PATIENCE_MS)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        await browser.close()


@pytest.fixture(scope="session")
async def context(site: Stack, browser: Browser) -> BrowserContext:
    """A window that the visitors use one after another; a page stays open, and so the process of the others."""
    context = await new_context(browser)
    await (await context.new_page()).goto(f"{site.frontend_url}/icon.svg")
    return context


@pytest.fixture
async def visitor(site: Stack, context: BrowserContext) -> AsyncIterator[Visitor]:
    """Somebody who looks at the page; no script of it may have failed in the end, none been blocked."""
    visitor = Visitor(context, site.frontend_url)
    yield visitor
    await visitor.leave()
    assert visitor.complaints == []


@pytest.fixture(scope="session")
def api(site: Stack) -> Iterator[httpx.Client]:
    """An HTTP client of the gateway behind the page."""
    with httpx.Client(base_url=site.url, timeout=30, **DIRECT_CLIENT) as client:
        yield client
