"""/docs in a browser that reaches nothing else: every POST is accepted as Swagger UI sends it, also with a key."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path

import pytest
from playwright.async_api import Locator, Page, Request, expect

from deploy.local.stack import Stack
from gateway.routes.docs import FOLDER
from tests.browser.npm import read_package_file
from tests.browser.page_helpers import KEY, Visitor, jpeg

POSTS = ["/upload", "/crop", "/grayscale", "/resize", "/process"]
MADE_UP = re.compile(r"(quality|source_task_id|left|top|height)=\w")
PACKAGE = "swagger-ui-dist-5.35.0"


async def opened(visitor: Visitor, url: str) -> tuple[Page, list[str]]:
    """Open the docs, and note the address of every request."""
    visitor.url = url
    asked: list[str] = []
    page = await visitor.open()

    def note(request: Request) -> None:
        asked.append(request.url)

    page.on("request", note)
    await page.goto(f"{url}/docs")
    await expect(page.locator(".opblock").first).to_be_visible()
    return page, asked


def operation(page: Page, path: str) -> Locator:
    """Find a POST among the operations."""
    summary = page.locator(".opblock-summary-path").get_by_text(re.compile(f"^{re.escape(path)}$"))
    return page.locator(".opblock-post").filter(has=summary)


async def sent(page: Page, path: str) -> Locator:
    """Try a POST out with a photo and what Swagger UI fills in, and return the status that is shown."""
    found = operation(page, path)
    await found.locator(".opblock-summary-control").click()
    await found.get_by_role("button", name="Try it out").click()
    await found.locator("input[type=file]").set_input_files([jpeg()])
    await found.get_by_role("button", name="Execute").click()
    return found.locator(".live-responses-table .response-col_status").last


async def test_every_post_is_accepted_as_swagger_ui_sends_it(visitor: Visitor, frontend_stack: Stack) -> None:
    page, asked = await opened(visitor, frontend_stack.url)

    for path in POSTS:
        await expect(await sent(page, path)).to_have_text(re.compile(r"^202\b"))
        await expect(operation(page, path).locator(".curl-command")).not_to_contain_text(MADE_UP)
        await operation(page, path).locator(".opblock-summary-control").click()  # each costs more for those still open

    assert {f"{frontend_stack.url}{path}" for path in POSTS} <= set(asked)
    assert [url for url in asked if not url.startswith((frontend_stack.url, "data:", "blob:"))] == []


async def test_the_docs_behind_a_front_work_with_a_key(visitor: Visitor, keyed_frontend_url: str) -> None:
    page, _ = await opened(visitor, f"{keyed_frontend_url}/api")
    refused = await sent(page, "/upload")
    await expect(refused).to_have_text(re.compile(r"^401\b"))

    await page.get_by_role("button", name="Authorize", exact=True).first.click()
    bearer = page.locator(".auth-container").filter(has_text="BearerKey")
    await bearer.locator("input").fill(KEY)
    await bearer.get_by_role("button", name="Apply credentials").click()
    await bearer.get_by_role("button", name="Close").click()
    await operation(page, "/upload").get_by_role("button", name="Execute").click()

    await expect(refused).to_have_text(re.compile(r"^202\b"))
    kept = await page.evaluate("JSON.stringify([document.cookie, { ...localStorage }])")
    assert KEY not in kept


@pytest.mark.parametrize("name", ["swagger-ui-bundle.js", "swagger-ui.css", "LICENSE"])
def test_what_is_served_is_what_was_published(name: str) -> None:
    assert _hash((FOLDER / "dist" / name).read_bytes()) == _hash(read_package_file(PACKAGE, name).encode())


def test_the_version_is_written_down() -> None:
    assert PACKAGE.replace("dist-", "dist` ") in (Path(FOLDER) / "README.md").read_text(encoding="utf-8")


def _hash(content: bytes) -> str:
    return sha256(content).hexdigest()
