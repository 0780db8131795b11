"""Pages of other origins in a real browser: an allowed one uploads and shows results, another one leaves nothing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import nullcontext
from pathlib import Path

import httpx
import pytest
from playwright.async_api import BrowserContext, Page
from starlette.responses import HTMLResponse

from deploy.local.stack import Stack
from tests.integration.api_helpers import submit_photo, wait_for_end
from tests.integration.front_servers import run_application, run_nginx
from tests.integration.lone_gateway import LoneGateway, run_lone_gateway
from tests.support.http_options import HTTP_CLIENT_OPTIONS, HTTP_OPTIONS
from tests.support.images import encode_image, photo

WITH_KEY: dict[str, object] = {
    "headers": {"Authorization": "Bearer a-key", "Idempotency-Key": "a-key", "X-Request-ID": "of-the-page"}
}
UPLOAD = """async ({ url, init }) => {
    const canvas = new OffscreenCanvas(320, 240);
    canvas.getContext("2d").fillRect(0, 0, 160, 120);
    const form = new FormData();
    form.append("file", await canvas.convertToBlob({ type: "image/png" }), "drawn.png");
    try {
        const answer = await fetch(`${url}/upload`, { method: "POST", body: form, ...init });
        const location = new URL(answer.headers.get("Location"), answer.url).href;
        const requestId = answer.headers.get("X-Request-ID");
        return { end: answer.type, status: answer.status, location, requestId, job: await answer.json() };
    } catch (error) {
        return { end: error.message };
    }
}"""
FOLLOW = """status => new Promise((resolve) => {
    const source = new EventSource(`${status}/events`);
    source.addEventListener("error", () => source.readyState === EventSource.CLOSED && resolve(["given up"]));
    source.addEventListener("job", ({ data }) => {
        const { original, status } = JSON.parse(data);
        if (status !== "done") return;
        source.close();
        resolve([original.name, status]);
    });
})"""
SHOW_THEN_FETCH = """async (url) => {
    const image = document.body.appendChild(new Image());
    image.src = url;
    await image.decode();
    const answer = await fetch(url);
    return [image.naturalWidth, answer.headers.get("ETag"), (await answer.arrayBuffer()).byteLength];
}"""


@pytest.fixture(scope="module")
def pages() -> Iterator[tuple[str, str]]:
    """The origins of two pages: one that the gateway knows, and one that it does not."""
    page = HTMLResponse("<!doctype html><title>A page of somebody else</title>")
    with run_application(page) as known, run_application(page) as unknown:
        yield known, unknown


@pytest.fixture(scope="module")
def gateway(
    frontend_stack: Stack, pages: tuple[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LoneGateway]:
    """A gateway of the stack that the known page may use."""
    settings = {
        "DARKROOM_CORS__ORIGINS": json.dumps([pages[0]]),
        "DARKROOM_BLOB_URL": frontend_stack.blob_folder.as_uri(),
    }
    with run_lone_gateway(frontend_stack, tmp_path_factory.mktemp("gateway"), **settings) as gateway:
        yield gateway


@pytest.fixture
async def page(context: BrowserContext) -> AsyncIterator[Page]:
    page = await context.new_page()
    yield page
    await page.close()


async def test_an_allowed_page_uploads_reads_the_answer_and_follows_the_job(
    page: Page, pages: tuple[str, str], gateway: LoneGateway
) -> None:
    await page.goto(pages[0])

    answer = await page.evaluate(UPLOAD, {"url": gateway.url, "init": WITH_KEY})

    assert (answer["end"], answer["status"], answer["requestId"]) == ("cors", 202, "of-the-page")
    assert answer["location"] == f"{gateway.url}/task-status/{answer['job']['task_id']}"
    assert await page.evaluate(FOLLOW, answer["location"]) == ["drawn.png", "done"]


async def test_another_page_makes_no_job_and_leaves_no_blob(
    page: Page, pages: tuple[str, str], frontend_stack: Stack, tmp_path: Path
) -> None:
    with run_lone_gateway(frontend_stack, tmp_path, DARKROOM_CORS__ORIGINS=json.dumps([pages[0]])) as gateway:
        before = list_jobs(gateway)
        await page.goto(pages[1])

        inits: list[dict[str, object]] = [{}, {"mode": "no-cors"}, WITH_KEY]  # the last one has a preflight
        answers = [await page.evaluate(UPLOAD, {"url": gateway.url, "init": init}) for init in inits]

        assert [answer["end"] for answer in answers] == ["Failed to fetch"] * 3
        assert list_jobs(gateway) == before
        assert not list(gateway.blob_folder.rglob("*"))


def list_jobs(gateway: LoneGateway) -> list[str]:
    answer = httpx.get(f"{gateway.url}/jobs", params={"limit": 100}, **HTTP_OPTIONS)
    return [job["task_id"] for job in answer.json()["jobs"]]


@pytest.mark.parametrize("front", ["none", "nginx"])
async def test_a_result_that_an_image_has_put_into_the_cache_can_be_fetched(
    page: Page, pages: tuple[str, str], gateway: LoneGateway, tmp_path: Path, front: str
) -> None:
    path, result = make_preview(gateway)
    await page.goto(pages[0])

    with run_nginx(gateway.url, tmp_path) if front == "nginx" else nullcontext() as nginx:
        seen = await page.evaluate(SHOW_THEN_FETCH, f"{nginx.url}/api{path}" if nginx else f"{gateway.url}{path}")

    assert seen == [160, result.headers["etag"], len(result.content)]


def make_preview(gateway: LoneGateway) -> tuple[str, httpx.Response]:
    with httpx.Client(base_url=gateway.url, **HTTP_CLIENT_OPTIONS) as api:
        task_id = submit_photo(api, encode_image(photo(320, 240), "jpeg"))
        wait_for_end(api, task_id)
        return f"/result/{task_id}/small", api.get(f"/result/{task_id}/small")
