"""A stack that serves the page, and a headless Chromium to look at it with."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, ExitStack
from hashlib import sha256
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser, BrowserContext, async_playwright, expect

from deploy.ports import free_port
from deploy.stack import Stack
from tests.browser.steps import KEY, Visitor, new_context
from tests.conftest import IMPATIENT
from tests.integration.journey import wait_until
from tests.programs import running

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
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
    folder, gateway_port, port = tmp_path_factory.mktemp("guarded"), free_port(), free_port()
    gateway, page = f"http://127.0.0.1:{gateway_port}", f"http://127.0.0.1:{port}"
    keys = {"DARKROOM_API_KEYS": json.dumps({"ann": sha256(KEY.encode()).hexdigest()})}
    stores = {
        "DARKROOM_REDIS_URL": site.redis_url,
        "DARKROOM_MONGO_URL": site.mongo_url,
        "DARKROOM_BLOB_URL": site.blob_folder.as_uri(),
    }
    with ExitStack() as life:
        life.enter_context(_uvicorn("gateway.app", gateway_port, folder, **IMPATIENT, **stores, **keys))
        life.enter_context(_uvicorn("deploy.front", port, folder, DARKROOM_FRONT_GATEWAY=gateway))
        wait_until(lambda: _answers(f"{page}/api/readyz"), "the guarded gateway")
        yield page


def _uvicorn(module: str, port: int, folder: Path, **environment: str) -> AbstractContextManager[None]:
    command = [sys.executable, "-m", "uvicorn", f"{module}:production", "--factory", "--port", str(port)]
    return running(*command, log=folder / f"{module}.log", **environment)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).is_success
    except httpx.TransportError:
        return False


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
async def context(browser: Browser) -> BrowserContext:
    """A window that the visitors use one after another."""
    return await new_context(browser)


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
    with httpx.Client(base_url=site.url, timeout=30, trust_env=False) as client:
        yield client
