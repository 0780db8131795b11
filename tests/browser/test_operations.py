"""Crop, grayscale and resize: on a new file or an earlier job, by pointer, by keys and by numbers."""

from __future__ import annotations

import httpx
import pytest
from playwright.async_api import Locator, Page, expect

from tests.browser.page_helpers import (
    Visitor,
    choose_option,
    choose_photos,
    expect_status,
    find_card,
    jpeg,
    wait_for_job_id,
    wait_until_done,
)
from tests.integration.api_helpers import submit_photo, wait_for_end, wait_for_image
from tests.support.images import encode_image, photo

PHOTO = encode_image(photo(800, 600), "jpeg")
SIDES = ("Left", "Top", "Width", "Height")


async def crop_dialog(page: Page) -> Locator:
    """Have a photo of 800 x 600 done, and ask to crop it."""
    await choose_photos(page, jpeg("photo.jpg", 800, 600))
    await (await wait_until_done(page)).get_by_role("button", name="Crop").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog.locator(".crop-box")).to_be_visible()
    return dialog


async def box(dialog: Locator) -> list[int]:
    """Return the box as the dialog's numbers say it."""
    return [int(await dialog.get_by_label(side, exact=True).input_value()) for side in SIDES]


async def drag(page: Page, grip: Locator, dx: float, dy: float) -> None:
    """Pull at a handle."""
    place = await grip.bounding_box()
    assert place is not None
    x, y = place["x"] + place["width"] / 2, place["y"] + place["height"] / 2
    await page.mouse.move(x, y)
    await page.mouse.down()
    await page.mouse.move(x + dx, y + dy, steps=4)
    await page.mouse.up()


async def submitted(page: Page, dialog: Locator, words: str) -> str:
    """Send the dialog, and return the new job."""
    await dialog.get_by_role("button", name=words, exact=True).click()
    newest = page.locator(".card").first
    await expect(newest.locator(".sum")).to_contain_text(words.lower())
    await expect_status(newest, "done")
    return await wait_for_job_id(newest)


@pytest.mark.parametrize("height", [600, 720])
async def test_the_buttons_of_a_crop_are_seen_without_scrolling(visitor: Visitor, height: int) -> None:
    dialog = await crop_dialog(await visitor.open(viewport={"width": 1280, "height": height}))

    assert await dialog.evaluate("dialog => dialog.scrollHeight <= dialog.clientHeight")


async def test_a_crop_is_pulled_by_the_pointer(visitor: Visitor, api: httpx.Client) -> None:
    page = await visitor.open()
    dialog = await crop_dialog(page)
    left, top, width, height = await box(dialog)

    await drag(page, dialog.get_by_role("button", name="Lower right corner"), -120, -60)
    await drag(page, dialog.get_by_role("button", name="Upper left corner"), 30, 0)

    pulled = await box(dialog)
    assert pulled[0] > left
    assert pulled[1] == top
    assert pulled[2] < width - 100
    assert pulled[3] < height - 40
    task_id = await submitted(page, dialog, "Crop")
    job = wait_for_end(api, task_id)
    assert [job["operation"]["parameters"][side.lower()] for side in SIDES] == pulled
    assert wait_for_image(api, task_id).size == (pulled[2], pulled[3])


async def test_a_crop_is_moved_and_pulled_by_keys(visitor: Visitor) -> None:
    page = await visitor.open()
    dialog = await crop_dialog(page)
    left, top, width, height = await box(dialog)

    await dialog.get_by_role("button", name="Crop box").focus()
    await page.keyboard.press("ArrowRight")
    await page.keyboard.press("Shift+ArrowDown")
    moved = await box(dialog)
    await dialog.get_by_role("button", name="Left edge").focus()
    await page.keyboard.press("ArrowRight")

    step = moved[0] - left
    assert step > 0
    assert moved == [left + step, top + 10 * step, width, height]
    assert await box(dialog) == [left + 2 * step, top + 10 * step, width - step, height]
    await page.keyboard.press("Escape")
    await expect(dialog).to_have_count(0)


async def test_a_crop_keeps_the_aspect_that_is_chosen(visitor: Visitor) -> None:
    page = await visitor.open()
    dialog = await crop_dialog(page)

    await choose_option(dialog, "16:9")
    whole = await box(dialog)
    await drag(page, dialog.get_by_role("button", name="Right edge"), -100, 0)
    pulled = await box(dialog)

    assert whole == [0, 75, 800, 450]
    assert pulled[2] < 750
    assert pulled[2] / pulled[3] == pytest.approx(16 / 9, rel=0.01)


@pytest.mark.parametrize(
    ("operation", "filled", "parameters"),
    [
        ("Crop", {}, {"left": 80, "top": 60, "width": 640, "height": 480}),
        ("Crop", {"Width": "50"}, {"width": 50}),
        ("Grayscale", {}, {}),
        ("Resize", {"Width": "90"}, {"width": 90}),
    ],
    ids=["crop", "crop by numbers", "grayscale", "resize"],
)
async def test_enter_in_a_dialog_sends_it(
    visitor: Visitor, api: httpx.Client, operation: str, filled: dict[str, str], parameters: dict[str, int]
) -> None:
    page = await visitor.open(f"/jobs/{wait_for_end(api, submit_photo(api, PHOTO))['task_id']}")
    await page.get_by_role("button", name=operation).click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_be_visible()

    for label, value in filled.items():
        await dialog.get_by_label(label, exact=True).fill(value)
    await page.keyboard.press("Enter")

    newest = page.locator(".card").first
    await expect(newest.locator(".sum")).to_contain_text(operation.lower())
    job = wait_for_end(api, await wait_for_job_id(newest))
    assert job["operation"]["parameters"].items() >= parameters.items()


async def test_a_dialog_that_lacks_a_side_stays_and_says_so(visitor: Visitor, api: httpx.Client) -> None:
    page = await visitor.open(f"/jobs/{wait_for_end(api, submit_photo(api, PHOTO))['task_id']}")
    await page.get_by_role("button", name="Resize").evaluate("button => (button.click(), button.click())")
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_have_count(1)

    await page.keyboard.press("Enter")

    await expect(dialog.get_by_role("alert")).to_have_text("Fill in a width, a height, or both first.")
    await page.keyboard.press("Escape")
    await expect(dialog).to_have_count(0)


async def test_new_photos_are_cut_to_an_aspect_without_being_asked_about(visitor: Visitor, api: httpx.Client) -> None:
    page = await visitor.open()
    await choose_option(page, "Crop")
    await page.get_by_label("Aspect").select_option("1:1")

    await choose_photos(page, jpeg("photo.jpg", 300, 200))

    shown = await wait_until_done(page)
    assert wait_for_image(api, await wait_for_job_id(shown)).size == (200, 200)
    await expect(shown.locator(".chip")).to_contain_text("crop")
    async with page.expect_download() as download:
        await shown.get_by_role("button", name="Download").click()
    assert (await download.value).suggested_filename == "photo-crop.jpg"


async def test_a_new_photo_is_brought_to_a_box_and_a_format(visitor: Visitor, api: httpx.Client) -> None:
    page = await visitor.open()
    await choose_option(page, "Resize")
    await page.get_by_label("Width").fill("120")
    await page.get_by_label("Height").fill("120")
    await page.get_by_label("Fit").select_option("cover")
    await page.get_by_text("Format and quality").click()
    await page.locator("select[name=format]").select_option("webp")

    await choose_photos(page, jpeg("photo.jpg", 300, 200))

    made = wait_for_image(api, await wait_for_job_id(await wait_until_done(page)))
    assert (made.size, made.format) == ((120, 120), "WEBP")


async def test_an_earlier_job_is_made_grey_from_its_page(visitor: Visitor, api: httpx.Client) -> None:
    page = await visitor.open()
    await choose_photos(page, jpeg())
    source = await wait_for_job_id(await wait_until_done(page))
    await page.goto(f"{visitor.url}/#/jobs/{source}")

    await page.get_by_role("button", name="Grayscale").click()
    await page.get_by_role("button", name="Convert to grayscale").click()

    newest = page.locator(".card").first
    await expect(newest.locator(".sum")).to_contain_text("grayscale")
    await expect_status(newest, "done")
    job = wait_for_end(api, await wait_for_job_id(newest))
    assert (job["kind"], job["source_task_id"]) == ("grayscale", source)


async def test_a_form_that_lacks_a_side_sends_nothing_and_says_so(visitor: Visitor) -> None:
    page = await visitor.open()
    await choose_option(page, "Resize")

    await choose_photos(page, jpeg())

    await expect(page.locator("#toast")).to_have_text("Fill in a width, a height, or both first.")
    await expect(find_card(page, "photo.jpg")).to_have_count(0)
