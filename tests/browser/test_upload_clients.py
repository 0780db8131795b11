"""Upload clients of other people, unchanged, on a page of another origin: they upload, follow the job and show it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

import httpx
import jwt
import pytest
from PIL import Image
from playwright.async_api import BrowserContext, Page, Route, expect

from deploy.local.stack import Stack
from tests.browser.clients.page_server import serve_pages
from tests.browser.npm import SHA512
from tests.browser.page_helpers import wait_for_size
from tests.integration.lone_gateway import run_lone_gateway
from tests.support.http_options import HTTP_CLIENT_OPTIONS
from tests.support.images import encode_image, photo_file

SHOP_KEY, SHOP_SECRET = "the-key-of-the-shop", "the-secret-that-signs-the-tokens-of-the-shop"
CLIENTS = ("uppy-xhr", "uppy-tus", "dropzone", "filepond", "axios", "fetch", "tus-js-client", "client-js")


@dataclass(frozen=True)
class Shop:
    """A shop whose pages upload straight to a gateway: the origin of the pages, and the gateway."""

    origin: str
    gateway: httpx.Client

    def page_url(self, client: str, **fields: str) -> str:
        """Return the address of a client's page, with a new token of the shop's backend."""
        claims = {"sub": "shop", "scope": "upload", "jti": str(uuid4()), "exp": int(time.time()) + 300}
        token = jwt.encode(claims, SHOP_SECRET, algorithm="HS256")
        fields |= {"gateway": str(self.gateway.base_url), "token": token}
        return f"{self.origin}/{client}.html?{urlencode(fields)}"


@pytest.fixture(scope="module")
def shop(frontend_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop, and a gateway that asks for keys and serves the shop's pages."""
    with serve_pages() as origin:
        settings = {
            "DARKROOM_CORS__ORIGINS": json.dumps([origin]),
            "DARKROOM_API_KEYS": json.dumps({"shop": sha256(SHOP_KEY.encode()).hexdigest()}),
            "DARKROOM_SIGNING_SECRETS": json.dumps({"shop": SHOP_SECRET}),
            "DARKROOM_BLOB_URL": frontend_stack.blob_folder.as_uri(),
        }
        with (
            run_lone_gateway(frontend_stack, tmp_path_factory.mktemp("shop"), **settings) as gateway,
            httpx.Client(
                base_url=gateway.url, headers={"Authorization": f"Bearer {SHOP_KEY}"}, **HTTP_CLIENT_OPTIONS
            ) as client,
        ):
            yield Shop(origin, client)


@pytest.fixture
async def page(context: BrowserContext) -> AsyncIterator[Page]:
    """A page whose scripts may not fail, nor be denied anything."""
    page = await context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    yield page
    await page.close()
    assert errors == []


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_client_on_another_origin_uploads_a_photo_and_shows_its_preview(
    client: str, shop: Shop, page: Page, tmp_path: Path
) -> None:
    photo = tmp_path / f"{client}.jpg"
    photo.write_bytes(photo_file(4000, 3000))
    await page.goto(shop.page_url(client))

    await page.locator("input[type=file]").set_input_files(photo)

    await expect(page.locator("output")).to_contain_text("done")
    assert await wait_for_size(page.locator("#preview")) == (640, 480)
    task_id = (await page.locator("output").inner_text()).split()[0]
    original = shop.gateway.get(f"/task-status/{task_id}").json()["original"]
    assert (original["name"], original["sha256"]) == (photo.name, sha256(photo.read_bytes()).hexdigest())


def test_the_guide_names_the_versions_that_are_tried() -> None:
    tried = {name: version for name, _, version in (package.rpartition("-") for package in SHA512)}
    section = Path("deploy/docs/BROWSER.md").read_text(encoding="utf-8").partition("## Clients that work")[2]

    rows = re.findall(r"^\| ([\w-]+)[^|]*\| ([\d.]+) \|", section, re.MULTILINE)

    assert {name for name, _ in rows} == {"Uppy", "Dropzone", "FilePond", "tus-js-client", "axios"}
    assert [row for row in rows if tried[row[0].lower()] != row[1]] == []


async def test_the_specs_of_tus_js_client_itself_pass(shop: Shop, context: BrowserContext) -> None:
    photo = encode_image(Image.new("RGB", (1, 1)), "bmp", dpi=(72, 72)).decode("ascii")  # the specs send text

    async def read_back(route: Route) -> None:
        """Answer what tus does not define: reading the bytes of an upload back, as long as the gateway has them."""
        if route.request.method != "GET":
            await route.continue_()
            return
        found = shop.gateway.head(urlsplit(route.request.url).path, headers={"Tus-Resumable": "1.0.0"})
        status, body = (200, photo) if found.is_success else (404, "")
        await route.fulfill(status=status, body=body, headers={"Access-Control-Allow-Origin": "*"})

    spec = "should upload to a real tus server"
    async with await context.new_page() as page:  # one that looks for an upload that it has removed
        await page.route("**/files/*", read_back)
        await page.goto(shop.page_url("tus-js-client-specs", photo=photo))

        for description in (spec, f"{spec} with creation-with-upload"):
            await expect(page.locator("output")).to_contain_text(f"{description}: passed")
