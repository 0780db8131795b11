"""Reloads, restarts, proxies and dead jobs: the page finds its way back."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pymongo
import pytest
from playwright.async_api import Locator, Page, Route, expect

from deploy.stack import Stack
from storage.clock import now_ms
from tests.browser.steps import Visitor, card, choose, done, jpeg, reaches, task_id_of
from tests.integration.journey import frozen, status

NAME = "photo.jpg"
FAILURE = {"stage": "small", "code": "dispatches_exhausted", "message": "The job was sent too often.", "errors": []}


async def half_way(page: Page) -> Locator:
    """Choose a photo while no resize can begin, and return its card once it waits for them."""
    await choose(page, jpeg(NAME))
    shown = card(page, NAME)
    await expect(shown.locator(".timeline li[data-state=done]")).to_have_count(2)
    return shown


def bury(site: Stack, api: httpx.Client, task_id: str) -> dict[str, Any]:
    """Give a job up as the sweeper does one that was sent too often, and return it."""
    client: pymongo.MongoClient[dict[str, Any]]
    with pymongo.MongoClient(site.mongo_url) as client:
        end = {"state": "dead", "finished_ms": now_ms(), "updated_ms": now_ms(), "failure": FAILURE}
        client.get_default_database().jobs.update_one({"_id": task_id}, {"$set": end, "$inc": {"version": 1}})
    return status(api, task_id)


def cancel(api: httpx.Client, task_id: str) -> None:
    """Cancel a job."""
    api.delete(f"/jobs/{task_id}").raise_for_status()


async def test_a_reload_in_the_middle_of_a_job_goes_on_with_it(visitor: Visitor, site: Stack) -> None:
    page = await visitor.open()

    with frozen(site, "resize"):
        task_id = await task_id_of(await half_way(page))
        await page.reload()
        shown = card(page, NAME)
        await expect(shown.locator(".timeline li[data-state=done]")).to_have_count(2)
        assert await task_id_of(shown) == task_id

    await done(page, NAME)


async def test_a_gateway_that_goes_and_comes_back_in_the_middle_of_a_job_is_survived(
    visitor: Visitor, site: Stack
) -> None:
    page = await visitor.open()
    lamp = page.locator(".health-word")
    await expect(lamp).to_have_text("ready")

    with frozen(site, "resize"):
        await half_way(page)
        await asyncio.to_thread(site.stop_process, "gateway")
        try:
            await choose(page, jpeg("second.jpg"))
            await reaches(card(page, "second.jpg"), "pausing")
            await page.locator("#health").get_by_text("unreachable").wait_for()
        finally:
            await asyncio.to_thread(site.start_process, "gateway")

    await done(page, NAME)
    await done(page, "second.jpg")
    await expect(lamp).to_have_text("ready")


@pytest.mark.parametrize("answer", [{"status": 502}, {"status": 200, "content_type": "text/html", "body": "<p>login"}])
async def test_where_a_proxy_lets_no_stream_through_polls_tell(
    visitor: Visitor, site: Stack, answer: dict[str, Any]
) -> None:
    page = await visitor.open()

    async def refuse(route: Route) -> None:
        await route.fulfill(**answer)

    await page.route("**/events", refuse)
    with frozen(site, "resize"):
        await half_way(page)

    await done(page, NAME)


async def test_a_dead_job_goes_on_from_the_stage_it_died_in(visitor: Visitor, site: Stack, api: httpx.Client) -> None:
    page = await visitor.open()
    with frozen(site, "resize"):
        shown = await half_way(page)
        task_id = await task_id_of(shown)
        before = bury(site, api, task_id)
        await reaches(shown, "dead")
    await expect(shown.locator(".failure")).to_contain_text("The picture is not to blame")

    await shown.get_by_role("button", name="Go on from the failed stage").click()

    await done(page, NAME)
    after = status(api, task_id)
    assert after["stages"]["normalize"] == before["stages"]["normalize"]
    assert after["generation"] > before["generation"]


async def test_a_job_cancelled_elsewhere_is_shown_so(visitor: Visitor, site: Stack, api: httpx.Client) -> None:
    page = await visitor.open()

    with frozen(site, "resize"):
        shown = await half_way(page)
        cancel(api, await task_id_of(shown))
        await reaches(shown, "cancelled")
