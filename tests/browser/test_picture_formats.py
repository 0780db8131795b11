"""The `<picture>` of a rendition in a page of another origin: which format and density a browser chooses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from playwright.async_api import BrowserContext, Page

from deploy.local.stack import Stack
from tests.browser.page_helpers import new_context
from tests.integration.api_helpers import submit_photo, wait_for_end
from tests.integration.lone_gateway import LoneGateway
from tests.integration.variant_files import add_variants
from tests.support.http_options import HTTP_CLIENT_OPTIONS
from tests.support.images import encode_image, photo

SHOWN = """async () => {
    const image = document.querySelector("img");
    await image.decode();
    const answer = performance.getEntriesByName(image.currentSrc)[0];
    const { width, height } = image.getBoundingClientRect();
    return { src: new URL(image.currentSrc).pathname, width, height, loaded: performance.getEntriesByType("resource")
        .filter(({ initiatorType, name }) => name.includes("/result/")).length };
}"""


@pytest.fixture(scope="module")
def job(frontend_stack: Stack, gateway: LoneGateway) -> dict[str, Any]:
    """A job whose rendition `small` has three formats at two densities, 160 and 320 pixels wide."""
    with httpx.Client(base_url=gateway.url, **HTTP_CLIENT_OPTIONS) as api:
        task_id = submit_photo(api, encode_image(photo(400, 300), "jpeg"))
        wait_for_end(api, task_id)
        add_variants(frontend_stack, task_id, "small")
        found: dict[str, Any] = api.get(f"/task-status/{task_id}").json()
    return found


@pytest.fixture
async def page(context: BrowserContext, origin: str) -> AsyncIterator[Page]:
    page = await context.new_page()
    await page.goto(origin)
    yield page
    await page.close()


def picture_of(job: dict[str, Any], gateway: LoneGateway) -> str:
    """Return the HTML as the button of the page copies it: with whole addresses."""
    html: str = job["renditions"]["small"]["picture"]
    return html.replace(job["links"]["result"], gateway.url + job["links"]["result"])


async def show(page: Page, html: str, *disabled: str) -> dict[str, Any]:
    """Show HTML in a browser that lacks some formats, as a whole page without CSS."""
    devtools = await page.context.new_cdp_session(page)
    await devtools.send("Emulation.setDisabledImageTypes", {"imageTypes": list(disabled)})
    await page.evaluate("html => { document.body.innerHTML = html; }", html)
    seen: dict[str, Any] = await page.evaluate(SHOWN)
    return seen


@pytest.mark.parametrize(
    ("disabled", "name"),
    [((), "small.avif"), (("avif",), "small.webp"), (("avif", "webp"), "small.jpg")],
    ids=["all formats", "no AVIF", "neither AVIF nor WebP"],
)
async def test_a_browser_takes_the_best_format_that_it_shows(
    page: Page, gateway: LoneGateway, job: dict[str, Any], disabled: tuple[str, ...], name: str
) -> None:
    seen = await show(page, picture_of(job, gateway), *disabled)

    assert seen == {"src": f"/result/{job['task_id']}/{name}", "width": 160, "height": 120, "loaded": 1}


async def test_a_screen_with_two_pixels_for_one_takes_the_second_density_at_the_same_size(
    context: BrowserContext, origin: str, gateway: LoneGateway, job: dict[str, Any]
) -> None:
    sharp = await new_context(context.browser, device_scale_factor=2)
    page = await sharp.new_page()
    await page.goto(origin)

    seen = await show(page, picture_of(job, gateway))

    assert (seen["src"], seen["width"]) == (f"/result/{job['task_id']}/small@2x.avif", 160)
    await sharp.close()


@pytest.mark.parametrize(
    ("disabled", "media_type"), [((), "image/avif"), (("avif",), "image/webp"), (("avif", "webp"), "image/jpeg")]
)
async def test_an_image_with_one_address_is_negotiated(
    page: Page, gateway: LoneGateway, job: dict[str, Any], disabled: tuple[str, ...], media_type: str
) -> None:
    answers = []
    page.on("response", lambda answer: answers.append(answer.headers["content-type"]))

    await show(page, f'<img src="{gateway.url}{job["renditions"]["small"]["url"]}">', *disabled)

    assert answers == [media_type]


async def test_the_placeholder_is_behind_the_picture(page: Page, gateway: LoneGateway, job: dict[str, Any]) -> None:
    await show(page, picture_of(job, gateway))

    colour = await page.evaluate("getComputedStyle(document.querySelector('img')).backgroundColor")

    placeholder = job["placeholder"]["color"].removeprefix("#")
    assert colour == f"rgb({', '.join(str(each) for each in bytes.fromhex(placeholder))})"


async def test_the_client_builds_the_same_picture(page: Page, gateway: LoneGateway, job: dict[str, Any]) -> None:
    body = """async ({ url, taskId }) => {
        const { Darkroom } = await import(`${url}/client.js`);
        const darkroom = new Darkroom(url);
        const job = await darkroom.status(taskId);
        job.operation.renditions = { small: { width: 160 } };
        const picture = darkroom.picture(job, { rendition: "small", alt: "A drawing" });
        document.body.replaceChildren(picture);
        return picture.localName;
    }"""

    kind = await page.evaluate(body, {"url": gateway.url, "taskId": job["task_id"]})
    seen = await page.evaluate(SHOWN)

    assert kind == "picture"
    assert (seen["src"], seen["width"], seen["loaded"]) == (f"/result/{job['task_id']}/small.avif", 160, 1)
