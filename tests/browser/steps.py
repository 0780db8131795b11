"""Steps that browser tests share: open the page, choose photos, find their cards."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, FilePayload, Locator, Page, expect

from tests.images import encoded, photo

KEY = "the key of the browser tests"


class Visitor:
    """A person with a browser of their own: what it remembers is gone when they leave."""

    def __init__(self, usual: BrowserContext, url: str) -> None:
        """Take a context for the first view, if that has no options: a fresh one costs two seconds of CPU."""
        self.url = url
        self.complaints: list[str] = []
        self._usual = usual
        self._left: list[Page | BrowserContext] = []

    async def open(self, view: str = "/", **options: Any) -> Page:
        """Open a view in a fresh browser; options are those of a Playwright context."""
        page = await (self._open_otherwise(options) if options or self._left else self._open_as_usual())
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._listen)
        await page.goto(f"{self.url}/#{view}")
        return page

    async def _open_as_usual(self) -> Page:
        page = await self._usual.new_page()
        self._left.append(page)
        devtools = await self._usual.new_cdp_session(page)
        await devtools.send("Storage.clearDataForOrigin", {"origin": self.url, "storageTypes": "all"})
        await devtools.detach()
        return page

    async def _open_otherwise(self, options: Mapping[str, Any]) -> Page:
        context = await new_context(self._usual.browser, **options)
        self._left.append(context)
        return await context.new_page()

    def _listen(self, message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text:
            self.complaints.append(message.text)

    async def leave(self) -> None:
        """Close every window."""
        for window in self._left:
            await window.close()


async def new_context(browser: Browser | None, **options: Any) -> BrowserContext:
    """Return a browser that remembers nothing; options are Playwright's."""
    assert browser is not None
    context = await browser.new_context(**{"locale": "en-US", "reduced_motion": "reduce", **options})
    context.set_default_timeout(30_000)
    return context


def jpeg(name: str = "photo.jpg", width: int = 320, height: int = 240) -> FilePayload:
    """Return a photo as it is chosen from a disk."""
    return FilePayload(name=name, mimeType="image/jpeg", buffer=encoded(photo(width, height), "jpeg"))


def truncated(name: str = "cut.jpg") -> FilePayload:
    """Return the first half of a photo."""
    whole = jpeg(name, 640, 480)
    return FilePayload(name=name, mimeType="image/jpeg", buffer=whole["buffer"][: len(whole["buffer"]) // 2])


async def choose(page: Page, *photos: FilePayload) -> None:
    """Choose photos; they are sent at once."""
    await page.locator("#file-input").set_input_files(list(photos))


def card(page: Page, name: str) -> Locator:
    """Find the card of a photo."""
    return page.locator(".card").filter(has=page.get_by_role("heading", name=name, exact=True))


async def reaches(found: Locator, status: str) -> None:
    """Wait until a card, or a job's page, shows a status."""
    await expect(found).to_have_attribute("data-status", status)


async def done(page: Page, name: str = "photo.jpg") -> Locator:
    """Wait until the job of a photo is done, and return its card."""
    found = card(page, name)
    await reaches(found, "done")
    return found


async def task_id_of(found: Locator) -> str:
    """Return the job that a card leads to, once it has one."""
    link = found.get_by_role("heading").get_by_role("link")
    await expect(link).to_have_attribute("href", re.compile(r"#/jobs/[\w-]+"))
    return (await link.get_attribute("href") or "").rpartition("/")[2]


async def pixels(image: Locator) -> tuple[int, int]:
    """Wait until an image is shown, and return its size."""
    await expect(image).not_to_have_js_property("naturalWidth", 0)  # one without a source is complete, too
    width, height = await image.evaluate("image => [image.naturalWidth, image.naturalHeight]")
    return width, height
