"""Images from addresses on the page, and where a job's original comes from."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from playwright.async_api import BrowserContext, Page, expect

from deploy.local.stack import Stack
from tests.browser.page_helpers import Visitor, choose_option, expect_status, find_card, wait_for_size, wait_until_done
from tests.conftest import SHORT_TIMEOUTS
from tests.support.image_server import Scripted, ScriptedServer, run_scripted_server
from tests.support.images import photo_file

PHOTO = photo_file(600, 400)


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedServer]:
    with run_scripted_server() as server:
        yield server


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that may fetch from this machine."""
    environment = SHORT_TIMEOUTS | {
        "DARKROOM_OUTBOUND__ALLOW": '["127.0.0.0/8:*"]',
        "DARKROOM_RETENTION__REFUSED": "600",  # a retry needs it
    }
    folder = tmp_path_factory.mktemp("addresses")
    with Stack(folder, shared_pool=1, outbound_pool=1, environment=environment, frontend=True) as stack:
        yield stack


@pytest.fixture
async def guest(stack: Stack, context: BrowserContext) -> AsyncIterator[Visitor]:
    """Somebody who looks at the page of this stack."""
    guest = Visitor(context, stack.frontend_url)
    yield guest
    await guest.leave()
    assert guest.page_errors == []


async def give(page: Page, url: str) -> None:
    """Give an address, and press Enter."""
    await page.get_by_role("button", name="From an address").click()
    await page.get_by_role("textbox", name="Address").fill(url)
    await page.keyboard.press("Enter")


async def test_an_image_at_an_address_is_processed_and_its_job_says_where_it_is_from(
    guest: Visitor, server: ScriptedServer
) -> None:
    page = await guest.open()
    url = server.script("/photos/red%20sun.jpg", Scripted(PHOTO))

    await give(page, f"{url}?token=secret")

    card = await wait_until_done(page, "red sun.jpg")
    await card.get_by_role("link", name="red sun.jpg").click()
    await expect(page.locator(".side code").first).to_have_text(url)
    assert await wait_for_size(page.locator(".viewer-picture img")) == (600, 400)
    await expect(page.locator(".stages tbody th").first).to_have_text("fetch")
    await expect(page.locator(".view-head .sum")).to_contain_text("600 × 400 · image/jpeg")  # noqa: RUF001
    await page.locator("#language").click()
    await expect(page.locator(".stages tbody th").first).to_have_text("скачивание")
    await expect(page.locator(".side h2")).to_have_text("Источник")


async def test_an_address_that_gives_no_image_is_explained_and_tried_again(
    guest: Visitor, server: ScriptedServer
) -> None:
    page = await guest.open(locale="ru-RU")
    await page.get_by_role("button", name="По адресу").click()
    await page.get_by_role("textbox", name="Адрес").fill(
        server.script("/late.jpg", Scripted(status=404), Scripted(PHOTO))
    )
    await page.keyboard.press("Enter")
    card = find_card(page, "late.jpg")
    await expect_status(card, "failed")
    await expect(card.locator(".failure")).to_contain_text("получить изображение: The server answered 404.")
    await expect(card.locator(".failure")).to_contain_text("Изображение ни при чём.")

    await card.get_by_role("button", name="Продолжить").click()

    await wait_until_done(page, "late.jpg")


async def test_a_crop_of_an_address_needs_an_aspect_ratio(guest: Visitor, server: ScriptedServer) -> None:
    page = await guest.open()
    await choose_option(page, "Crop")
    url = server.script("/crop.jpg", Scripted(PHOTO))
    await give(page, url)
    await expect(page.get_by_role("alert")).to_contain_text("Choose an aspect ratio first")
    await page.keyboard.press("Escape")

    await page.get_by_label("Aspect ratio").select_option("1:1")
    await give(page, url)

    shown = await wait_until_done(page, "crop.jpg")
    await expect(shown.locator(".chips")).to_contain_text("400 × 400")  # noqa: RUF001
