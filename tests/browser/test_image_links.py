"""A signed link in a page of another origin: the browser shows the image that its first request has made."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import httpx
import pytest
from playwright.async_api import BrowserContext, Page

from deploy.local.stack import Stack
from gateway.client import image_url
from tests.integration.api_helpers import submit_photo
from tests.integration.lone_gateway import LoneGateway, run_lone_gateway
from tests.support.http_options import HTTP_CLIENT_OPTIONS
from tests.support.images import encode_image, photo

API_KEY, SIGNING_KEY = "key of the shop", "a-secret-of-the-shop-of-40-characters---"
PRESETS = """
[shop.renditions.card]
width = 120
height = 120
fit = "cover"
formats = ["avif", "jpeg"]
dpr = [1, 2]
steps = ["grayscale"]
"""
SHOW = """async (url) => {
    const image = new Image();
    image.src = url;
    document.body.replaceChildren(image);
    try { await image.decode(); } catch (error) { return String(error); }
    return [image.naturalWidth, image.naturalHeight];
}"""


@pytest.fixture(scope="module")
def gateway(frontend_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoneGateway]:
    """A gateway of the stack with a preset, keys and signing secrets; no other origin is named in its settings."""
    folder = tmp_path_factory.mktemp("gateway")
    (folder / "presets.toml").write_text(PRESETS)
    settings = {
        "DARKROOM_PRESETS": str(folder / "presets.toml"),
        "DARKROOM_API_KEYS": json.dumps({"shop": sha256(API_KEY.encode()).hexdigest()}),
        "DARKROOM_SIGNING_SECRETS": json.dumps({"shop": SIGNING_KEY}),
        "DARKROOM_BLOB_URL": frontend_stack.blob_folder.as_uri(),
    }
    with run_lone_gateway(frontend_stack, folder, **settings) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def api(gateway: LoneGateway) -> Iterator[httpx.Client]:
    options = HTTP_CLIENT_OPTIONS | {"headers": {"X-API-Key": API_KEY}}
    with httpx.Client(base_url=gateway.url, **options) as api:
        yield api


@pytest.fixture
async def page(context: BrowserContext, origin: str) -> AsyncIterator[Page]:
    page = await context.new_page()
    await page.goto(origin)
    yield page
    await page.close()


@pytest.mark.parametrize(
    ("file", "size"), [("card.avif", [120, 120]), ("card@2x.jpg", [240, 240]), ("card.png", [120, 120])]
)
async def test_an_image_is_shown_at_its_first_request(
    page: Page, gateway: LoneGateway, api: httpx.Client, file: str, size: list[int]
) -> None:
    task_id = submit_photo(api, encode_image(photo(400, 300), "jpeg"))

    shown = await page.evaluate(SHOW, image_url(gateway.url, task_id, "shop", file, secret=SIGNING_KEY))

    assert shown == size


async def test_an_image_is_not_shown_by_a_link_that_has_ended_or_is_forged(
    page: Page, gateway: LoneGateway, api: httpx.Client
) -> None:
    task_id = submit_photo(api, encode_image(photo(400, 301), "jpeg"))
    past = datetime.now(UTC) - timedelta(seconds=5)
    ended = image_url(gateway.url, task_id, "shop", "card.avif", secret=SIGNING_KEY, expires=past)
    forged = image_url(gateway.url, task_id, "shop", "card.avif", secret="x" * 40)

    for url in (ended, forged):
        assert "EncodingError" in await page.evaluate(SHOW, url)


def test_the_file_of_a_current_version_is_kept_by_every_cache(gateway: LoneGateway, api: httpx.Client) -> None:
    task_id = submit_photo(api, encode_image(photo(400, 302), "jpeg"))
    version = api.get("/presets/shop").json()["version"]
    url = image_url(gateway.url, task_id, "shop", "card.jpg", secret=SIGNING_KEY, version=version)

    with httpx.Client(**HTTP_CLIENT_OPTIONS) as anybody:
        answers = [anybody.get(url) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert {answer.headers["cache-control"] for answer in answers} == {"public, max-age=31536000, immutable"}
    assert answers[0].content == answers[1].content
    (made,) = [job for job in api.get("/jobs?kind=image").json()["jobs"] if job["task_id"][:13] == task_id[:13]]
    assert made["status"] == "done"
