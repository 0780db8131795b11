"""Reloads, restarts, proxies and dead jobs: the page finds its way back."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import httpx
import pymongo
import pytest
from playwright.async_api import FilePayload, Locator, Page, Route, expect
from pymongo.collection import Collection

from deploy.local.stack import Stack
from storage.clock import now_ms
from tests.browser.page_helpers import (
    Visitor,
    choose_photos,
    expect_status,
    find_card,
    jpeg,
    wait_for_job_id,
    wait_until_done,
)
from tests.integration.api_helpers import freeze_process, get_status
from tests.support.fakes import new_job
from tests.support.images import encode_image, photo

NAME = "photo.jpg"
NOTICED_MS = 8000  # 5 s, and what a loaded machine adds
FAILURE = {"stage": "small", "code": "dispatches_exhausted", "message": "The job was sent too often.", "errors": []}


async def half_way(page: Page) -> Locator:
    """Choose a photo while no resize can begin, and return its card once it waits for them."""
    await choose_photos(page, jpeg(NAME))
    shown = find_card(page, NAME)
    await expect(shown.locator(".timeline li[data-state=done]")).to_have_count(2)
    return shown


def mark_dead(frontend_stack: Stack, api: httpx.Client, task_id: str) -> dict[str, Any]:
    """Give a job up as the sweeper does one that was sent too often, and return it."""
    client: pymongo.MongoClient[dict[str, Any]]
    with pymongo.MongoClient(frontend_stack.mongo_url) as client:
        end = {"state": "dead", "finished_ms": now_ms(), "updated_ms": now_ms(), "failure": FAILURE}
        client.get_default_database().jobs.update_one({"_id": task_id}, {"$set": end, "$inc": {"version": 1}})
    return get_status(api, task_id)


def cancel(api: httpx.Client, task_id: str) -> None:
    """Cancel a job."""
    api.delete(f"/jobs/{task_id}").raise_for_status()


async def test_a_job_of_a_newer_version_is_said_to_be_kept(visitor: Visitor, frontend_stack: Stack) -> None:
    document = new_job().model_dump(mode="json", by_alias=True, exclude={"revision_id"}) | {"kind": "watermark"}
    client: pymongo.MongoClient[dict[str, Any]]
    with pymongo.MongoClient(frontend_stack.mongo_url) as client:
        jobs: Collection[dict[str, Any]] = client.get_default_database().jobs
        jobs.insert_one(document)
        try:
            page = await visitor.open(f"/jobs/{document['_id']}")

            await expect(page.locator(".failure code")).to_have_text("job_unreadable")
            await expect(page.locator(".failure-sentence")).to_contain_text("The job is kept as it is.")
        finally:
            jobs.delete_one({"_id": document["_id"]})


async def test_a_reload_in_the_middle_of_a_job_goes_on_with_it(visitor: Visitor, frontend_stack: Stack) -> None:
    page = await visitor.open()

    with freeze_process(frontend_stack, "resize"):
        task_id = await wait_for_job_id(await half_way(page))
        await page.reload()
        shown = find_card(page, NAME)
        await expect(shown.locator(".timeline li[data-state=done]")).to_have_count(2)
        assert await wait_for_job_id(shown) == task_id

    await wait_until_done(page, NAME)


async def test_a_gateway_that_goes_and_comes_back_in_the_middle_of_a_job_is_survived(
    visitor: Visitor, frontend_stack: Stack
) -> None:
    page = await visitor.open()
    lamp = page.locator(".health-word")
    await expect(lamp).to_have_text("ready")

    with freeze_process(frontend_stack, "resize"):
        await half_way(page)
        await asyncio.to_thread(frontend_stack.stop_process, "gateway")
        try:
            await choose_photos(page, jpeg("second.jpg"))
            await expect_status(find_card(page, "second.jpg"), "waiting")
            await expect(find_card(page, "second.jpg").locator(".pill")).to_have_text("unreachable")
            await expect(find_card(page, "second.jpg").locator(".frame-note")).to_have_text("waiting for the server")
            await expect(lamp).to_have_text("unreachable")
        finally:
            await asyncio.to_thread(frontend_stack.start_process, "gateway")

    await wait_until_done(page, NAME)
    await wait_until_done(page, "second.jpg")
    await expect(lamp).to_have_text("ready")


async def test_the_page_goes_on_by_itself_after_its_own_server_was_away(
    visitor: Visitor, frontend_stack: Stack
) -> None:
    page = await visitor.open()
    await expect(page.locator(".health-word")).to_have_text("ready")

    await asyncio.to_thread(frontend_stack.stop_process, "frontend")
    try:
        await choose_photos(page, jpeg(NAME))
        await expect_status(find_card(page, NAME), "waiting")
        await page.locator("#language").click()
        await expect(find_card(page, NAME).locator(".pill")).to_have_text("нет связи")
        await page.locator("#language").click()
        await page.get_by_role("link", name="Jobs", exact=True).click()
        await expect(page.get_by_role("heading", name="Jobs")).to_be_visible()
        await expect(page.locator(".results .failure")).to_contain_text("The server cannot be reached.")
    finally:
        await asyncio.to_thread(frontend_stack.start_process, "frontend")

    await expect(page.locator(".job-tile").first).to_be_visible()
    await page.get_by_role("link", name="Upload", exact=True).click()
    await wait_until_done(page, NAME)


async def test_a_frozen_gateway_is_noticed_within_seconds_and_gets_the_photo_when_it_thaws(
    visitor: Visitor, frontend_stack: Stack
) -> None:
    page = await visitor.open()
    lamp = page.locator(".health-word")
    await expect(lamp).to_have_text("ready")

    with freeze_process(frontend_stack, "gateway"):
        await expect(lamp).to_have_text("unreachable", timeout=NOTICED_MS)
        await choose_photos(page, jpeg(NAME))
        await expect_status(find_card(page, NAME), "waiting")
        await page.get_by_role("link", name="Jobs", exact=True).click()
        await expect(page.locator(".results .failure")).to_contain_text("The server cannot be reached.")

    await expect(page.locator(".job-tile, .nothing").first).to_be_visible()
    await page.get_by_role("link", name="Upload", exact=True).click()
    await wait_until_done(page, NAME)


async def test_a_server_that_is_busy_for_long_is_no_refusal(visitor: Visitor) -> None:
    page = await visitor.open()
    posts = 0

    async def be_busy(route: Route) -> None:
        nonlocal posts
        posts += 1
        if posts > 9:
            await route.continue_()
        else:
            await route.fulfill(status=429, headers={"Retry-After": "0"})

    await page.route("**/api/upload", be_busy)
    await choose_photos(page, jpeg(NAME))

    await wait_until_done(page, NAME)


async def test_a_photo_that_waits_for_its_own_key_holds_no_other_one_back(visitor: Visitor) -> None:
    page = await visitor.open()
    keys: list[str] = []

    async def hold_first_key(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) == 1:
            await route.fulfill(status=409, headers={"Retry-After": "600"}, body='{"code": "idempotency_key_in_use"}')
        else:
            await route.continue_()

    await page.route("**/api/upload", hold_first_key)
    await choose_photos(page, jpeg(NAME))
    await expect_status(find_card(page, NAME), "pausing")
    await choose_photos(page, jpeg("second.jpg"))

    await wait_until_done(page, "second.jpg")
    await expect_status(find_card(page, NAME), "pausing")


async def test_a_large_photo_goes_on_where_it_was_cut(visitor: Visitor) -> None:
    page = await visitor.open()
    methods: list[str] = []

    async def cut_second_part(route: Route) -> None:
        methods.append(route.request.method)
        await (route.abort() if methods == ["POST", "PATCH", "PATCH"] else route.continue_())

    await page.route(re.compile("/api/files"), cut_second_part)
    await choose_photos(page, large_bmp(NAME))

    await wait_until_done(page, NAME)
    assert methods == ["POST", "PATCH", "PATCH", "HEAD", "PATCH"]


async def test_a_large_photo_that_is_dismissed_leaves_no_parts(visitor: Visitor) -> None:
    page = await visitor.open()
    methods: list[str] = []
    is_held = asyncio.Event()

    async def hold_second_part(route: Route) -> None:
        methods.append(route.request.method)
        if methods == ["POST", "PATCH", "PATCH"]:
            is_held.set()
        else:
            await route.continue_()

    await page.route(re.compile("/api/files"), hold_second_part)
    await choose_photos(page, large_bmp(NAME))
    await is_held.wait()
    async with page.expect_response(lambda answer: answer.request.method == "DELETE") as removal:
        await page.get_by_role("button", name=f"Remove {NAME} from this list").click()

    assert (await removal.value).status == 204


def large_bmp(name: str) -> FilePayload:
    """Return a photo that is sent in two parts."""
    return FilePayload(name=name, mimeType="image/bmp", buffer=encode_image(photo(1600, 1300), "bmp"))


@pytest.mark.parametrize("answer", [{"status": 502}, {"status": 200, "content_type": "text/html", "body": "<p>login"}])
async def test_where_a_proxy_lets_no_stream_through_polls_tell(
    visitor: Visitor, frontend_stack: Stack, answer: dict[str, Any]
) -> None:
    page = await visitor.open()

    async def refuse(route: Route) -> None:
        await route.fulfill(**answer)

    await page.route("**/events", refuse)
    with freeze_process(frontend_stack, "resize"):
        await half_way(page)

    await wait_until_done(page, NAME)


async def test_a_dead_job_goes_on_from_the_stage_it_died_in(
    visitor: Visitor, frontend_stack: Stack, api: httpx.Client
) -> None:
    page = await visitor.open()
    with freeze_process(frontend_stack, "resize"):
        shown = await half_way(page)
        task_id = await wait_for_job_id(shown)
        before = mark_dead(frontend_stack, api, task_id)
        await expect_status(shown, "dead")
    await expect(shown.locator(".failure")).to_contain_text("The image is not the cause")
    await expect(shown.locator(".pill")).to_have_text("dead")

    await shown.get_by_role("button", name="Retry from the failed stage").click()

    await wait_until_done(page, NAME)
    after = get_status(api, task_id)
    assert after["stages"]["normalize"] == before["stages"]["normalize"]
    assert after["generation"] > before["generation"]


async def test_a_job_cancelled_elsewhere_is_shown_so(
    visitor: Visitor, frontend_stack: Stack, api: httpx.Client
) -> None:
    page = await visitor.open()

    with freeze_process(frontend_stack, "resize"):
        shown = await half_way(page)
        cancel(api, await wait_for_job_id(shown))
        await expect_status(shown, "cancelled")
