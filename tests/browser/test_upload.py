"""Photos go in and come out; what cannot is told why."""

from __future__ import annotations

import io
import json
import struct
import zipfile

import pytest
from playwright.async_api import FilePayload, Locator, Page, Request, Route, expect

from tests.browser.page_helpers import (
    Visitor,
    choose_photos,
    expect_status,
    find_card,
    jpeg,
    truncated_jpeg,
    wait_for_size,
    wait_until_done,
)
from tests.support.images import decode_image, photo

TIMES = "\N{MULTIPLICATION SIGN}"
SIZES = [f"{width} {TIMES} {height}" for width, height in ((160, 120), (640, 480), (800, 600))]
FIVE = [f"photo-{number}.jpg" for number in range(1, 6)]
BUSY = {"overloaded": "busy: retry in 1 second", "storage_full": "server full: retry in 1 second"}


def posts(page: Page) -> list[Request]:
    """Note what is sent in."""
    found: list[Request] = []
    page.on("request", lambda request: found.append(request) if request.method == "POST" else None)
    return found


async def middle_pixel_of(card: Locator) -> list[int]:
    """Return the middle of the blur that stands for the photo until its preview is there."""
    read = "canvas => [...canvas.getContext('2d').getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data]"
    pixel: list[int] = await card.locator(".frame .placeholder").evaluate(read)
    return pixel[:3]


async def test_five_photos_at_once_show_their_previews(visitor: Visitor) -> None:
    page = await visitor.open()

    await choose_photos(page, *[jpeg(name, 800, 600) for name in FIVE])

    for name in FIVE:
        shown = await wait_until_done(page, name)
        assert await wait_for_size(shown.locator(".frame img")) == (640, 480)
        await expect(shown.locator(".chip")).to_contain_text(SIZES)
        await expect(shown.locator(".timeline li[data-state=done]")).to_have_count(6)
        assert await middle_pixel_of(shown) == pytest.approx(photo(800, 600).getpixel((400, 300)), abs=30)
    await expect(page.locator(".album-progress")).to_have_text("5 of 5 photos done")


async def test_photos_can_be_dropped_anywhere(visitor: Visitor) -> None:
    page = await visitor.open()
    dropped = await page.evaluate_handle(
        """bytes => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([new Uint8Array(bytes)], "dropped.jpg", { type: "image/jpeg" }));
          return transfer;
        }""",
        list(jpeg()["buffer"]),
    )

    await page.locator("header").dispatch_event("drop", {"dataTransfer": dropped})

    await wait_until_done(page, "dropped.jpg")


async def test_a_damaged_photo_says_why_and_offers_no_retry(visitor: Visitor) -> None:
    page = await visitor.open()

    await choose_photos(page, truncated_jpeg())

    shown = find_card(page, "cut.jpg")
    await expect_status(shown, "failed")
    sentence = "The image file is truncated: some of its pixels are missing."
    await expect(shown.locator(".failure")).to_contain_text(f"{sentence} image_truncated")
    await expect(shown.locator(".failure")).to_contain_text("a retry would not help")
    await expect(shown.get_by_role("button", name="Retry from")).to_have_count(0)


async def test_what_is_no_picture_is_refused_before_it_is_sent(visitor: Visitor) -> None:
    page = await visitor.open()
    sent = posts(page)

    await choose_photos(page, FilePayload(name="notes.txt", mimeType="text/plain", buffer=b"no pixels"))

    await expect(find_card(page, "notes.txt").locator(".failure")).to_have_text("notes.txt is not an image.")
    assert sent == []


async def test_a_picture_over_the_limits_is_refused_before_it_is_sent(visitor: Visitor) -> None:
    page = await visitor.open()
    sent = posts(page)
    huge = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sIIBBBBBI", 13, b"IHDR", 20_000, 10_000, 8, 2, 0, 0, 0, 0)

    await choose_photos(page, FilePayload(name="huge.png", mimeType="image/png", buffer=huge))

    sentence = f"The image has 20,000 {TIMES} 10,000 pixels, 200 megapixels; the limit is 50."
    await expect(find_card(page, "huge.png").locator(".failure")).to_have_text(sentence)
    assert sent == []


async def test_what_only_the_gateway_can_tell_is_said_in_its_words(visitor: Visitor) -> None:
    page = await visitor.open()

    await choose_photos(page, FilePayload(name="liar.jpg", mimeType="image/jpeg", buffer=b"these are no pixels" * 9))

    await expect(find_card(page, "liar.jpg").locator(".failure")).to_contain_text("unsupported_format")


@pytest.mark.parametrize("code", BUSY)
async def test_a_busy_server_is_asked_again_when_it_says_with_the_same_key(visitor: Visitor, code: str) -> None:
    page = await visitor.open()
    keys: list[str | None] = []

    async def busy_once(route: Route) -> None:
        keys.append(route.request.headers.get("idempotency-key"))
        if len(keys) > 1:
            await route.continue_()
        else:
            headers = {"Retry-After": "1", "Content-Type": "application/problem+json"}
            await route.fulfill(status=503, headers=headers, body=json.dumps({"status": 503, "code": code}))

    await page.route("**/api/upload", busy_once)
    await choose_photos(page, jpeg())

    await expect(find_card(page, "photo.jpg").locator(".frame-note")).to_have_text(BUSY[code])
    await wait_until_done(page)
    assert keys[0] is not None
    assert keys == [keys[0], keys[0]]


async def test_all_previews_are_downloaded_in_one_archive(visitor: Visitor) -> None:
    page = await visitor.open()
    await choose_photos(page, jpeg("one.jpg"), jpeg("twin.jpg", 200, 100), jpeg("twin.jpg", 100, 200))
    await expect(page.locator(".card[data-status=done]")).to_have_count(3)

    async with page.expect_download() as download:
        await page.get_by_role("button", name="Download all").click()

    path = await (await download.value).path()
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert len(set(names)) == 9
        assert {"one-small.jpg", "one-large.jpg", "twin-small.jpg", "twin-small (2).jpg"} <= set(names)
        assert decode_image(archive.read("one-large.jpg")).size == (320, 240)


async def test_a_preset_is_chosen_in_the_form_if_there_are_several(visitor: Visitor) -> None:
    async def have_two_presets(route: Route) -> None:
        answer = await route.fetch()
        await route.fulfill(response=answer, json={**await answer.json(), "presets": ["default", "product"]})

    page = await visitor.open()
    await page.route("**/capabilities", have_two_presets)
    await page.reload()
    field = page.get_by_label("Preset")
    await expect(field.locator("option")).to_have_text(["default", "product"])

    await choose_photos(page, jpeg("first.jpg"))
    await wait_until_done(page, "first.jpg")
    await field.select_option("product")
    async with page.expect_request(lambda request: request.method == "POST") as sent:
        await choose_photos(page, jpeg("second.jpg"))

    assert b'name="preset"\r\n\r\nproduct' in ((await sent.value).post_data_buffer or b"")
    await expect(find_card(page, "second.jpg")).to_contain_text("preset")
