"""Themes, languages, small screens, and what axe-core finds."""

from __future__ import annotations

import re
from collections import Counter
from typing import Literal

import httpx
import pytest
from playwright.async_api import FilePayload, Locator, Page, ViewportSize, expect

from tests.browser.npm import read_package_file
from tests.browser.page_helpers import (
    Visitor,
    choose_option,
    choose_photos,
    expect_status,
    find_card,
    jpeg,
    truncated_jpeg,
    wait_for_size,
    wait_until_done,
)
from tests.integration.api_helpers import submit_photo, wait_for_end
from tests.support.images import cutout, decode_image, encode_image, photo
from tests.support.tiff import GREY, TiffPage, write_tiff

AXE = "axe-core-4.14.1"
PHONE = ViewportSize(width=360, height=740)
SCHEMES: tuple[Literal["dark", "light"], ...] = ("dark", "light")
EDGE_PIXELS = 40  # of 1024: what lies between two fields is a blend
DARK, LIGHT = "rgb(17, 16, 14)", "rgb(245, 241, 234)"


async def with_photos(page: Page) -> None:
    """Have one photo done and one failed."""
    await choose_photos(page, jpeg(), truncated_jpeg())
    await expect_status(find_card(page, "cut.jpg"), "failed")
    await wait_until_done(page)


async def cropping(page: Page) -> None:
    """Open the dialog of a crop."""
    await find_card(page, "photo.jpg").get_by_role("button", name="Crop").click()
    await expect(page.locator(".crop-box")).to_be_visible()


async def done_job(page: Page) -> None:
    """Close the dialog, and go to the page of the job that is done."""
    await page.keyboard.press("Escape")
    await find_card(page, "photo.jpg").get_by_role("link", name="photo.jpg").click()
    await expect(page.locator(".viewer-picture img")).to_be_visible()


async def comparing(page: Page) -> None:
    """Compare before and after."""
    await choose_option(page, "Before and after")
    await expect(page.locator(".compare")).to_be_visible()


async def jobs(page: Page) -> None:
    """Go to the list."""
    await page.get_by_role("link", name="Jobs", exact=True).click()
    await expect(page.locator(".job-tile").first).to_be_visible()


async def selecting(page: Page) -> None:
    """Select jobs of the list."""
    await page.get_by_role("button", name="Select", exact=True).click()
    await page.get_by_role("button", name="Select all").click()
    await expect(page.get_by_text(re.compile("[0-9]+ jobs selected"))).to_be_visible()  # those of other tests, too


async def failed_job(page: Page) -> None:
    """Go to the page of the job that failed."""
    await page.get_by_role("link", name="Upload", exact=True).click()
    await find_card(page, "cut.jpg").get_by_role("link", name="cut.jpg").click()
    await expect(page.locator(".side .failure")).to_be_visible()


async def resizing(page: Page) -> None:
    """Show the form of a resize on an empty page, unfolded, and the lamp's explanation."""
    await page.get_by_role("link", name="Upload", exact=True).click()
    await page.get_by_role("button", name="Clear the list").click()
    await expect(page.locator(".card")).to_have_count(0)
    await choose_option(page, "Resize")
    await page.get_by_text("Format and quality").click()
    await page.locator("#health summary").click()


VIEWS = [with_photos, cropping, done_job, comparing, jobs, selecting, failed_job, resizing]
"""Each is reached from the one before: most of the cost of a view is the way to it."""


async def test_axe_finds_nothing_in_either_theme_and_a_phone_needs_no_sideways_scroll(visitor: Visitor) -> None:
    page = await visitor.open()
    await page.evaluate(f"() => {{ {read_package_file(AXE, 'axe.min.js')}; globalThis.axe = axe; }}")
    desk = page.viewport_size
    assert desk is not None

    found, widths = {}, {}
    for view in VIEWS:
        await view(page)
        for scheme in SCHEMES:
            await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            found[view.__name__, scheme] = await violations(page)
        await page.set_viewport_size(PHONE)
        widths[view.__name__] = await page.evaluate("document.documentElement.scrollWidth")
        await page.set_viewport_size(desk)

    assert found == {(view.__name__, scheme): [] for view in VIEWS for scheme in SCHEMES}
    assert widths == {view.__name__: PHONE["width"] for view in VIEWS}


async def violations(page: Page) -> list[str]:
    """Return what axe-core, which the page has loaded, has against the page."""
    results = await page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [f"{rule['id']}: {node['html']}" for rule in results["violations"] for node in rule["nodes"]]


@pytest.mark.parametrize("locale", ["en-US", "ru-RU"])
async def test_what_a_button_of_a_card_does_can_be_read_on_a_phone(visitor: Visitor, locale: str) -> None:
    page = await visitor.open(locale=locale, viewport=PHONE)
    await choose_photos(page, jpeg())
    words = (await wait_until_done(page)).locator(".actions button span")

    await expect(words).to_have_count(6)
    shown = await words.evaluate_all(
        """spans => spans.map(span => {
          const button = span.parentElement.getBoundingClientRect();
          const { left, right, width } = span.getBoundingClientRect();
          return width > 20 && left >= button.left && right <= button.right;
        })"""
    )
    assert shown == [True] * 6


async def test_transparent_pictures_lie_on_a_light_ground(visitor: Visitor) -> None:
    page = await visitor.open(color_scheme="dark")
    content = encode_image(cutout(800, 600), "png")
    await choose_photos(page, FilePayload(name="cutout.png", mimeType="image/png", buffer=content))
    shown = await wait_until_done(page, "cutout.png")
    await expect(shown.locator(".frame")).to_have_class(re.compile("loaded"))
    grounds = {"card": await ground(shown.locator(".frame img"))}

    await shown.get_by_role("link", name="cutout.png").click()
    grounds["viewer"] = await ground(page.locator(".viewer-picture > img"))
    await choose_option(page, "Before and after")
    await wait_for_size(page.locator(".compare .after"))
    grounds["compare"] = await ground(page.locator(".compare"))
    await page.get_by_role("link", name="Jobs", exact=True).click()
    grounds["list"] = await ground(page.locator(".job-tile").filter(has_text="cutout.png").first.locator("img"))

    assert grounds == {place: {(255, 255, 255), (222, 222, 222)} for place in grounds}


async def ground(shown: Locator) -> set[tuple[int, ...]]:
    """Return the colours of the upper left corner of a picture, where a cutout is transparent."""
    await expect(shown).to_be_visible()
    if await shown.evaluate("element => element.tagName") == "IMG":
        await wait_for_size(shown)
    corner = decode_image(await shown.screenshot()).convert("RGB").crop((2, 2, 34, 34)).tobytes()
    colours = Counter(zip(corner[::3], corner[1::3], corner[2::3], strict=True))
    return {colour for colour, count in colours.items() if count > EDGE_PIXELS}


async def test_the_theme_is_the_systems_until_another_is_chosen_and_that_is_remembered(visitor: Visitor) -> None:
    page = await visitor.open(color_scheme="light")
    root, toggle = page.locator("html"), page.get_by_role("button", name="Theme")
    await expect(root).to_have_css("background-color", LIGHT)

    await toggle.click()
    await expect(root).to_have_css("background-color", DARK)
    await page.reload()

    await expect(root).to_have_css("background-color", DARK)
    await toggle.click()
    await toggle.click()
    await page.emulate_media(color_scheme="dark")
    await expect(toggle).to_have_attribute("aria-label", "Theme: system")
    await expect(root).to_have_css("background-color", DARK)


async def test_a_russian_browser_reads_russian_down_to_plurals_and_failures(visitor: Visitor) -> None:
    page = await visitor.open(locale="ru-RU")

    await choose_photos(page, jpeg("раз.jpg"), jpeg("два.jpg"), truncated_jpeg("три.jpg"))

    await expect(find_card(page, "три.jpg").locator(".failure")).to_contain_text("Изображение обрывается")
    await wait_until_done(page, "раз.jpg")
    await wait_until_done(page, "два.jpg")
    await expect(page.locator(".album-progress")).to_have_text("готово 2 из 3 фотографий")
    await expect(page.locator(".limits")).to_contain_text("25 МиБ")
    await expect(page.locator("html")).to_have_attribute("lang", "ru")


async def test_a_russian_browser_reads_what_of_a_file_is_not_supported(visitor: Visitor) -> None:
    page = await visitor.open(locale="ru-RU")
    original = write_tiff(TiffPage(rows=[[(1,)] * 8] * 8, photometric=GREY, bits=10))

    await choose_photos(
        page,
        FilePayload(name="scan.tif", mimeType="image/tiff", buffer=original),
        FilePayload(name="liar.jpg", mimeType="image/jpeg", buffer=b"these are no pixels" * 9),
    )

    start, end = "Файлы этого вида не принимаются:", "unsupported_format"
    sentence = f"{start} A TIFF with 10-bit grey samples is not supported. {end}"
    await expect(find_card(page, "scan.tif").locator(".failure")).to_contain_text(sentence)
    sentence = f"{start} The file is not an image in one of the accepted formats: jpeg, png"
    await expect(find_card(page, "liar.jpg").locator(".failure")).to_contain_text(sentence)


async def test_the_language_is_changed_and_remembered(visitor: Visitor) -> None:
    page = await visitor.open()

    await page.locator("#language").click()
    await expect(page.get_by_role("link", name="Задания")).to_be_visible()
    await page.reload()

    await expect(page.get_by_role("link", name="Задания")).to_be_visible()
    await page.locator("#language").click()
    await expect(page.get_by_role("link", name="Jobs", exact=True)).to_be_visible()


async def test_a_phone_offers_its_camera_and_a_desk_does_not(visitor: Visitor) -> None:
    phone = await visitor.open(viewport=PHONE, is_mobile=True, has_touch=True)
    desk = await visitor.open()

    await expect(phone.get_by_text("Take a photo")).to_be_visible()
    await expect(phone.locator("#camera-input")).to_have_attribute("capture", "environment")
    await expect(desk.get_by_text("Take a photo")).to_be_hidden()


async def test_everything_is_reached_by_the_keyboard(visitor: Visitor) -> None:
    page = await visitor.open()
    await expect(page.locator(".health-word")).to_have_text("ready")

    await page.keyboard.press("Tab")
    await expect(page.locator("#skip")).to_be_focused()
    seen = []
    for _ in range(10):
        await page.keyboard.press("Tab")
        seen.append(await page.evaluate("[document.activeElement].map(e => e.id || e.name || e.textContent.trim())[0]"))

    header = ["Darkroom", "Upload", "Jobs", "Webhooks", "ready", "language", "theme"]
    assert seen == [*header, "file-input", "From an address", "operation"]


async def test_progress_is_said_to_screen_readers(visitor: Visitor) -> None:
    page = await visitor.open()
    said = page.get_by_role("status").filter(has_text=".")

    await choose_photos(page, jpeg())
    await wait_until_done(page)

    await expect(said).to_contain_text("photo.jpg: done.")


async def test_what_an_upload_is_called_cannot_become_markup(visitor: Visitor, api: httpx.Client) -> None:
    name = "<img src=x onerror=alert(1)>.jpg"
    task_id = submit_photo(api, encode_image(photo(), "jpeg"), name)
    wait_for_end(api, task_id)

    page = await visitor.open(f"/jobs/{task_id}")

    await expect(page.get_by_role("heading", level=1)).to_have_text(name)
    await expect(page.locator("img[src='x']")).to_have_count(0)
