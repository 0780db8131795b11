"""The list of jobs and the page of one."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta

import httpx
from playwright.async_api import Route, expect

from deploy.local.stack import Stack
from tests.browser.page_helpers import (
    Visitor,
    choose_option,
    choose_photos,
    expect_status,
    jpeg,
    wait_for_job_id,
    wait_for_size,
    wait_until_done,
)
from tests.integration.api_helpers import submit_operation, submit_photo, wait_for_all, wait_for_end
from tests.integration.variant_files import add_variants
from tests.support.images import encode_image, exif, photo, rgb_profile


def is_unknown(api: httpx.Client, task_id: str) -> bool:
    """Whether the gateway knows nothing of a job."""
    return api.get(f"/task-status/{task_id}").status_code == 404


async def test_the_list_is_filtered_by_status_and_kind(visitor: Visitor, api: httpx.Client) -> None:
    content = encode_image(photo(), "jpeg")
    wanted, other = submit_operation(api, "resize", content, width=20), submit_photo(api, content)
    wait_for_all(api, [wanted, other])
    page = await visitor.open("/jobs")
    await expect(page.locator(f"a[href='#/jobs/{other}']")).to_be_visible()

    await page.get_by_label("Kind").select_option("resize")
    await page.get_by_label("Status").select_option("done")

    await expect(page.locator(f"a[href='#/jobs/{wanted}']")).to_be_visible()
    await expect(page.locator(f"a[href='#/jobs/{other}']")).to_have_count(0)
    assert page.url.endswith("#/jobs?kind=resize&status=done")


async def test_no_empty_box_is_drawn_where_a_job_has_no_picture(visitor: Visitor, api: httpx.Client) -> None:
    task_id = submit_photo(api, encode_image(photo(), "jpeg")[:-900], "cut.jpg")
    assert wait_for_end(api, task_id)["status"] == "failed"

    page = await visitor.open("/jobs")

    picture = page.locator(f"a[href='#/jobs/{task_id}'] .job-tile-picture")
    await expect(picture).to_be_visible()
    await expect(picture.locator("img")).to_be_hidden()


async def test_the_list_goes_on_to_older_jobs_and_back(visitor: Visitor, api: httpx.Client) -> None:
    content = encode_image(photo(16, 16), "jpeg")
    oldest = submit_operation(api, "grayscale", content)
    wait_for_all(api, [oldest, *(submit_operation(api, "grayscale", content) for _ in range(24))])
    page = await visitor.open("/jobs?kind=grayscale")
    await expect(page.locator(".job-tile")).to_have_count(24)
    await expect(page.locator(f"a[href='#/jobs/{oldest}']")).to_have_count(0)

    await page.get_by_role("link", name="Older").click()

    await expect(page.locator(f"a[href='#/jobs/{oldest}']")).to_be_visible()
    await page.get_by_role("link", name="Newest").click()
    await expect(page.locator(f"a[href='#/jobs/{oldest}']")).to_have_count(0)


async def test_a_job_has_a_page_with_every_stage_and_rendition(visitor: Visitor, api: httpx.Client) -> None:
    original = encode_image(photo(800, 600), "jpeg", exif=exif(), icc_profile=rgb_profile("p3"))
    task_id = submit_photo(api, original, "kept.jpg")
    job = wait_for_end(api, task_id)

    page = await visitor.open(f"/jobs/{task_id}")

    await expect(page.get_by_role("heading", name="kept.jpg")).to_be_visible()
    assert await wait_for_size(page.locator(".viewer-picture img")) == (800, 600)
    await expect(page.locator(".view-head .sum")).to_contain_text("ICC profile · GPS position")
    await expect(page.locator(".stages tbody tr[data-state=done]")).to_have_count(len(job["stages"]))
    await expect(page.locator(".stages")).to_contain_text(job["stages"]["normalize"]["worker"])
    await choose_option(page, "small")
    await expect(page.locator(".viewer-picture img")).to_have_attribute("alt", "kept.jpg, small")
    assert await wait_for_size(page.locator(".viewer-picture img")) == (160, 120)
    await expect(page.get_by_role("link", name="Grafana")).to_have_count(0)
    async with page.expect_download() as download:
        await page.get_by_role("button", name="kept-small.jpg").click()
    assert (await download.value).suggested_filename == "kept-small.jpg"


async def test_the_end_of_a_job_is_shown_though_a_faster_clock_wrote_what_came_before(
    visitor: Visitor, api: httpx.Client
) -> None:
    task_id = submit_photo(api, encode_image(photo(), "jpeg"))
    ended = wait_for_end(api, task_id)
    later = (datetime.fromisoformat(ended["updated_at"]) + timedelta(milliseconds=50)).isoformat()
    states = [{**ended, "status": "processing", "finished_at": None, "updated_at": later}, ended]
    events = "".join(f"event: job\nid: {number}\ndata: {json.dumps(job)}\n\n" for number, job in enumerate(states, 1))

    async def stream(route: Route) -> None:
        await route.fulfill(content_type="text/event-stream", body=events)

    page = await visitor.open()
    await page.route("**/events", stream)
    await page.goto(f"{visitor.url}/#/jobs/{task_id}")

    await expect_status(page.locator(".view-head"), "done")


async def test_before_and_after_are_compared_by_a_slider(visitor: Visitor) -> None:
    page = await visitor.open()
    await choose_photos(page, jpeg("photo.jpg", 800, 600))
    await (await wait_until_done(page)).get_by_role("link", name="photo.jpg").click()
    await choose_option(page, "Before and after")
    slider = page.get_by_role("slider")

    await slider.focus()
    await page.keyboard.press("Home")

    await expect(page.locator(".compare .before")).to_have_css("clip-path", "inset(0px 100% 0px 0px)")
    assert await wait_for_size(page.locator(".compare .after")) == (800, 600)


async def test_the_request_is_copied_as_curl(visitor: Visitor, api: httpx.Client) -> None:
    task_id = submit_operation(api, "crop", encode_image(photo(), "png"), aspect="1:1", format="webp")
    wait_for_end(api, task_id)
    page = await visitor.open(f"/jobs/{task_id}", permissions=["clipboard-read", "clipboard-write"])

    await page.get_by_role("button", name="Copy as curl").click()

    await expect(page.locator("#toast")).to_have_text("Copied.")
    copied = await page.evaluate("navigator.clipboard.readText()")
    assert copied == f"""curl -F 'file=@"photo.png"' -F 'aspect=1:1' -F 'format=webp' '{visitor.url}/api/crop'"""


async def test_the_html_of_a_rendition_is_copied_with_whole_addresses(
    visitor: Visitor, api: httpx.Client, frontend_stack: Stack
) -> None:
    task_id = submit_photo(api, encode_image(photo(400, 300), "jpeg"))
    wait_for_end(api, task_id)
    add_variants(frontend_stack, task_id, "small")
    html = wait_for_end(api, task_id)["renditions"]["small"]["picture"]
    page = await visitor.open(f"/jobs/{task_id}", permissions=["clipboard-read", "clipboard-write"])

    await page.get_by_role("button", name="Copy the <picture> of small").click()

    await expect(page.locator("#toast")).to_have_text("Copied.")
    copied = await page.evaluate("navigator.clipboard.readText()")
    assert copied == html.replace("/result/", f"{visitor.url}/api/result/")
    assert copied.count(f"{visitor.url}/api/result/{task_id}/small@2x.") == 3


async def test_a_job_is_removed_after_a_second_word(visitor: Visitor, api: httpx.Client) -> None:
    page = await visitor.open()
    await choose_photos(page, jpeg())
    task_id = await wait_for_job_id(await wait_until_done(page))
    await page.goto(f"{visitor.url}/#/jobs/{task_id}")

    await page.get_by_role("button", name="Remove the job").click()
    await page.get_by_role("button", name="Yes").click()

    await expect(page).to_have_url(re.compile(r"#/jobs$"))
    assert is_unknown(api, task_id)
    await page.goto(f"{visitor.url}/#/jobs/{task_id}")
    await expect(page.get_by_role("heading", name="This job cannot be shown")).to_be_visible()


async def test_jobs_are_selected_with_the_keyboard_and_deleted_after_a_question(
    visitor: Visitor, api: httpx.Client
) -> None:
    ids = [submit_photo(api, encode_image(photo(), "jpeg"), f"{number}.jpg") for number in range(3)]
    wait_for_all(api, ids)
    page = await visitor.open("/jobs")
    await expect(page.locator(f"a[href='#/jobs/{ids[0]}']")).to_be_visible()

    await page.get_by_role("button", name="Select").press("Enter")
    for name in ("1.jpg", "2.jpg"):
        await page.get_by_label(f"Select {name}").first.press("Space")
    await expect(page.get_by_text("2 jobs selected")).to_be_visible()
    await page.get_by_role("button", name="Delete").press("Enter")
    assert not any(is_unknown(api, task_id) for task_id in ids)
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()

    await expect(page.locator("#toast")).to_have_text("2 done, 0 skipped, 0 not possible.")
    await expect(page.locator(f"a[href='#/jobs/{ids[1]}']")).to_have_count(0)
    await expect(page.locator(f"a[href='#/jobs/{ids[0]}']")).to_be_visible()
    assert [is_unknown(api, task_id) for task_id in ids] == [False, True, True]


async def test_selected_jobs_that_are_up_to_date_are_not_reprocessed(visitor: Visitor, api: httpx.Client) -> None:
    task_id = submit_photo(api, encode_image(photo(), "jpeg"), "current.jpg")
    wait_for_end(api, task_id)
    page = await visitor.open("/jobs")
    tile = page.locator(f"a[href='#/jobs/{task_id}']")
    await tile.wait_for()
    await page.get_by_role("button", name="Select").click()

    await tile.click()
    await page.get_by_role("button", name="Reprocess").click()
    await page.get_by_role("dialog").get_by_role("button", name="Reprocess").click()

    await expect(page.locator("#toast")).to_have_text("0 done, 1 skipped, 0 not possible.")
    assert wait_for_end(api, task_id)["revision"] == 0
