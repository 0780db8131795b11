"""Where the API wants a key, the page asks for it, and everything works with it."""

from __future__ import annotations

from io import BytesIO

from PIL import Image
from playwright.async_api import FilePayload, Locator, Page, expect

from tests.browser.page_helpers import (
    KEY,
    Visitor,
    choose_option,
    choose_photos,
    expect_status,
    find_card,
    jpeg,
    wait_for_job_id,
    wait_for_size,
    wait_until_done,
)

LARGE_BYTES = 1_400_000  # more than sockets and proxies keep while nobody reads


def large(name: str = "large.png") -> FilePayload:
    """Return a photo that does not compress."""
    content = BytesIO()
    Image.effect_noise((1300, 1300), 80).save(content, "png")
    assert len(content.getvalue()) > LARGE_BYTES
    return FilePayload(name=name, mimeType="image/png", buffer=content.getvalue())


def dialog(page: Page) -> Locator:
    """Find the dialog that asks for a key."""
    return page.get_by_role("dialog", name="An API key is required")


async def give(page: Page, key: str) -> None:
    """Type a key, and press Enter."""
    await page.get_by_label("API key", exact=True).fill(key)
    await page.keyboard.press("Enter")


async def revoke(page: Page) -> None:
    """Have the page use a key that the API does not accept."""
    await page.evaluate("import('/js/browser-storage.js').then(memory => memory.setApiKey('a revoked key'))")


async def test_a_key_is_asked_for_at_once_and_used_for_everything(visitor: Visitor, keyed_frontend_url: str) -> None:
    visitor.url = keyed_frontend_url
    page = await visitor.open()
    await give(page, "not the key")
    await expect(dialog(page)).to_contain_text("The key was not accepted")

    await give(page, KEY)
    await expect(page.locator(".limits")).to_contain_text("megapixels")
    await choose_photos(page, large())

    shown = await wait_until_done(page, "large.png")
    assert await wait_for_size(shown.locator(".frame img")) == (640, 640)
    await page.goto(f"{keyed_frontend_url}/#/jobs/{await wait_for_job_id(shown)}")
    assert await wait_for_size(page.locator(".viewer-picture img")) == (1300, 1300)
    kept = await page.evaluate("JSON.stringify([document.cookie, { ...localStorage }])")
    assert KEY not in kept


async def test_a_job_of_somebody_who_gave_no_key_yet_is_shown_once_it_is_given(
    visitor: Visitor, keyed_frontend_url: str
) -> None:
    visitor.url = keyed_frontend_url
    page = await visitor.open("/jobs")

    await give(page, KEY)

    await expect(page.locator(".job-grid, .nothing")).to_be_visible()


async def test_what_gave_up_without_a_key_goes_on_once_one_is_given(visitor: Visitor, keyed_frontend_url: str) -> None:
    visitor.url = keyed_frontend_url
    page = await visitor.open()
    await expect(dialog(page)).to_be_visible()
    await page.keyboard.press("Escape")
    await choose_photos(page, large())
    await expect(dialog(page)).to_be_visible()
    await dialog(page).get_by_role("button", name="Cancel").click()
    shown = find_card(page, "large.png")
    await expect_status(shown, "unsent")
    await expect(shown.locator(".failure")).to_contain_text("unauthorized")

    await shown.get_by_role("button", name="Enter an API key").click()
    await give(page, KEY)

    await wait_until_done(page, "large.png")
    await expect(page.locator(".limits")).to_contain_text("megapixels")


async def test_a_revoked_key_is_asked_for_anew_by_whatever_is_refused_first(
    visitor: Visitor, keyed_frontend_url: str
) -> None:
    visitor.url = keyed_frontend_url
    page = await visitor.open()
    await give(page, KEY)
    await expect(page.locator(".limits")).to_contain_text("megapixels")

    async def renew() -> None:
        await expect(dialog(page)).to_contain_text("The key was not accepted")
        await give(page, KEY)
        await expect(dialog(page)).to_have_count(0)

    await revoke(page)
    await choose_photos(page, jpeg())  # an upload
    await renew()
    task_id = await wait_for_job_id(await wait_until_done(page))

    await page.goto(f"{keyed_frontend_url}/#/jobs/{task_id}")
    await expect(page.locator(".viewer-picture img")).to_be_visible()
    await revoke(page)
    await (await page.context.new_cdp_session(page)).send("Network.clearBrowserCache")
    await choose_option(page, "small")  # a picture
    await renew()
    assert await wait_for_size(page.locator(".viewer-picture img")) == (160, 120)

    await revoke(page)
    await page.get_by_role("link", name="Jobs", exact=True).click()  # the list
    await renew()
    await expect(page.locator(f"a[href='#/jobs/{task_id}']")).to_be_visible()

    await page.goto(f"{keyed_frontend_url}/#/")
    await page.get_by_role("button", name="Clear the list").click()
    await revoke(page)
    await page.goto(f"{keyed_frontend_url}/#/jobs/{task_id}")  # an event stream
    await renew()
    assert await wait_for_size(page.locator(".viewer-picture img")) == (320, 240)
