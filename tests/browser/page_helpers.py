"""Steps that browser tests share: open the page, choose photos, find their cards."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, FilePayload, Locator, Page, expect

from tests.support.images import encode_image, photo

KEY = "the key of the browser tests"


class Visitor:
    """A person with a browser of their own: what it remembers is gone when they leave."""

    def __init__(self, shared_context: BrowserContext, url: str) -> None:
        """Take a context for the first view, if that has no options: a fresh one costs two seconds of CPU."""
        self.url = url
        self.page_errors: list[str] = []
        self._shared_context = shared_context
        self._windows: list[Page | BrowserContext] = []

    async def open(self, view: str = "/", **options: Any) -> Page:
        """Open a view in a fresh browser; options are those of a Playwright context."""
        page = await (
            self._open_in_new_context(options) if options or self._windows else self._open_in_shared_context()
        )
        page.on("pageerror", lambda error: self.page_errors.append(str(error)))
        page.on("console", self._record_policy_error)
        await page.goto(f"{self.url}/#{view}")
        return page

    async def _open_in_shared_context(self) -> Page:
        page = await self._shared_context.new_page()
        self._windows.append(page)
        devtools = await self._shared_context.new_cdp_session(page)
        await devtools.send("Storage.clearDataForOrigin", {"origin": self.url, "storageTypes": "all"})
        await devtools.detach()
        return page

    async def _open_in_new_context(self, options: Mapping[str, Any]) -> Page:
        context = await new_context(self._shared_context.browser, **options)
        self._windows.append(context)
        return await context.new_page()

    def _record_policy_error(self, message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text:
            self.page_errors.append(message.text)

    async def leave(self) -> None:
        """Close every window."""
        for window in self._windows:
            await window.close()


async def choose_option(scope: Page | Locator, name: str) -> None:
    """Choose a radio button by its label, as a person does: the button is hidden. Wait until the label stands still."""
    page = scope.page if isinstance(scope, Locator) else scope
    await scope.locator("label", has=page.get_by_label(name, exact=True)).click()
    await expect(scope.get_by_label(name, exact=True)).to_be_checked()


async def new_context(browser: Browser | None, **options: Any) -> BrowserContext:
    """Return a browser that remembers nothing; options are Playwright's."""
    assert browser is not None
    context = await browser.new_context(**{"locale": "en-US", "reduced_motion": "reduce", **options})
    context.set_default_timeout(30_000)
    return context


def jpeg(name: str = "photo.jpg", width: int = 320, height: int = 240) -> FilePayload:
    """Return a photo as it is chosen from a disk."""
    return FilePayload(name=name, mimeType="image/jpeg", buffer=encode_image(photo(width, height), "jpeg"))


def truncated_jpeg(name: str = "cut.jpg") -> FilePayload:
    """Return the first half of a photo."""
    whole = jpeg(name, 640, 480)
    return FilePayload(name=name, mimeType="image/jpeg", buffer=whole["buffer"][: len(whole["buffer"]) // 2])


async def choose_photos(page: Page, *photos: FilePayload) -> None:
    """Choose photos; they are sent at once."""
    await page.locator("#file-input").set_input_files(list(photos))


def find_card(page: Page, name: str) -> Locator:
    """Find the card of a photo."""
    return page.locator(".card").filter(has=page.get_by_role("heading", name=name, exact=True))


async def expect_status(found: Locator, status: str) -> None:
    """Wait until a card, or a job's page, shows a status."""
    await expect(found).to_have_attribute("data-status", status)


async def wait_until_done(page: Page, name: str = "photo.jpg") -> Locator:
    """Wait until the job of a photo is done, and return its card."""
    found = find_card(page, name)
    await expect_status(found, "done")
    return found


async def wait_for_job_id(found: Locator) -> str:
    """Return the job that a card leads to, once it has one."""
    link = found.get_by_role("heading").get_by_role("link")
    await expect(link).to_have_attribute("href", re.compile(r"#/jobs/[\w-]+"))
    return (await link.get_attribute("href") or "").rpartition("/")[2]


async def wait_for_size(image: Locator) -> tuple[int, int]:
    """Wait until an image is shown, and return its size."""
    await expect(image).not_to_have_js_property("naturalWidth", 0)  # one without a source is complete, too
    width, height = await image.evaluate("image => [image.naturalWidth, image.naturalHeight]")
    return width, height
