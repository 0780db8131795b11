"""Where the API wants a key, the page asks for it, and everything works with it."""

from __future__ import annotations

from playwright.async_api import expect

from tests.browser.steps import KEY, Visitor, choose, done, jpeg, pixels, task_id_of


async def test_a_key_is_asked_for_once_and_used_for_everything(visitor: Visitor, guarded: str) -> None:
    visitor.url = guarded
    page = await visitor.open()
    await choose(page, jpeg())
    await page.get_by_label("API key", exact=True).fill("not the key")
    await page.get_by_role("button", name="Use this key").click()
    await expect(page.get_by_text("The key was not accepted")).to_be_visible()

    await page.get_by_label("API key", exact=True).fill(KEY)
    await page.get_by_role("button", name="Use this key").click()

    shown = await done(page)
    assert await pixels(shown.locator(".frame img")) == (320, 240)
    await page.goto(f"{guarded}/#/jobs/{await task_id_of(shown)}")
    assert await pixels(page.locator(".viewer-picture img")) == (320, 240)
    kept = await page.evaluate("JSON.stringify([document.cookie, { ...localStorage }])")
    assert KEY not in kept


async def test_a_job_of_somebody_who_gave_no_key_yet_is_shown_once_it_is_given(visitor: Visitor, guarded: str) -> None:
    visitor.url = guarded
    page = await visitor.open("/jobs")

    await page.get_by_label("API key", exact=True).fill(KEY)
    await page.get_by_role("button", name="Use this key").click()

    await expect(page.locator(".sheet, .nothing")).to_be_visible()
