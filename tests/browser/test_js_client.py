"""The JavaScript client in a page of another origin, which imports it from the gateway."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import BrowserContext, Page, Route, expect

from deploy.local.ports import free_port
from deploy.local.stack import Stack
from tests.browser.page_helpers import KEY, jpeg, wait_for_size
from tests.integration.api_helpers import wait_until
from tests.integration.front_servers import find_program
from tests.integration.lone_gateway import LoneGateway, run_lone_gateway
from tests.support.http_options import HTTP_OPTIONS
from tests.support.programs import run_program

MODULE = """async ({ url }) => {
    const { Darkroom } = await import(`${url}/client.js`);
    const darkroom = new Darkroom(url);
    const draw = async (width, height) => {
        const canvas = new OffscreenCanvas(width, height);
        canvas.getContext("2d").fillStyle = "#c06040";
        canvas.getContext("2d").fillRect(0, 0, width, height / 2);
        return new File([await canvas.convertToBlob({ type: "image/png" })], "drawn.png");
    };
    %s
}"""
GUIDE = Path("deploy/docs/BROWSER.md").read_text(encoding="utf-8")
SIZE = 20 * 2**20
SLOW_LINE = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 2 * 2**20}


@pytest.fixture
async def page(context: BrowserContext, origin: str) -> AsyncIterator[Page]:
    page = await context.new_page()
    await page.goto(origin)
    yield page
    await page.close()


async def run(page: Page, gateway: LoneGateway, body: str) -> Any:
    """Run JavaScript in the page, with a client `darkroom` and a function `draw`."""
    return await page.evaluate(MODULE % body, {"url": gateway.url})


def list_jobs(gateway: LoneGateway) -> list[str]:
    answer = httpx.get(f"{gateway.url}/jobs", params={"limit": 100}, **HTTP_OPTIONS)
    return [job["task_id"] for job in answer.json()["jobs"]]


async def test_a_page_uploads_a_drawing_follows_its_job_and_shows_it(page: Page, gateway: LoneGateway) -> None:
    body = """
        const shares = [], statuses = [];
        const onProgress = share => shares.push(share);
        const handle = await darkroom.upload(await draw(1200, 900), { format: "jpeg", onProgress });
        for await (const { status } of darkroom.follow(handle)) statuses.push(status);
        const job = await darkroom.wait(handle);
        const image = darkroom.picture(job, { sizes: "160px", alt: "A drawing" });
        const before = image.style.background;
        image.style.width = "160px";
        document.body.append(image);
        await image.decode();
        await new Promise(resolve => requestAnimationFrame(resolve));
        const { currentSrc, width, height, alt } = image;
        return { handle, shares, statuses, before, after: image.style.background, currentSrc, width, height, alt };"""

    seen = await run(page, gateway, body)

    task_id = seen["handle"]["taskId"]
    assert seen["handle"]["links"]["result"] == f"{gateway.url}/result/{task_id}"
    assert (seen["shares"][-1], seen["statuses"][-1]) == (1, "done")
    assert re.fullmatch(rf"{gateway.url}/result/{task_id}/small\.jpg\?v=\w+", seen["currentSrc"])
    assert (seen["width"], seen["height"], seen["alt"]) == (160, 900, "A drawing")
    assert "data:image/png;base64," in seen["before"]
    assert seen["after"] == ""


async def test_the_example_of_the_guide_shows_two_photos(
    context: BrowserContext, frontend_stack: Stack, tmp_path: Path
) -> None:
    home = f"http://127.0.0.1:{free_port()}"
    settings = {
        "DARKROOM_CORS__ORIGINS": json.dumps([home]),
        "DARKROOM_BLOB_URL": frontend_stack.blob_folder.as_uri(),
        "DARKROOM_API_KEYS": json.dumps({"shop": sha256(KEY.encode()).hexdigest()}),
        "DARKROOM_SIGNING_SECRETS": json.dumps({"shop": ["a-secret-of-the-browser-tests-long-enough"]}),
    }
    with run_lone_gateway(frontend_stack, tmp_path, **settings) as gateway, run_example(tmp_path, gateway, home):
        page = await context.new_page()
        await page.goto(home)
        await page.locator("input").set_input_files([jpeg("garden.jpg", 1200, 900)])
        await expect(page.get_by_alt_text("garden.jpg")).to_be_visible()
        await page.locator("input").set_input_files([jpeg("lake.jpg", 1200, 900)])

        image = page.get_by_alt_text("lake.jpg")
        assert await wait_for_size(image) == (640, 480)
        source = await image.evaluate("it => it.currentSrc")
        assert re.fullmatch(rf"{gateway.url}/result/[\w-]+/medium\.webp\?v=\w+&token=[\w.-]+", source)
        await expect(page).to_have_title("done")
        await page.close()


@contextmanager
def run_example(folder: Path, gateway: LoneGateway, home: str) -> Iterator[None]:
    """Run the backend of the guide, which serves its page, with other addresses."""
    for name in ("server.mjs", "page.html"):
        [text] = re.findall(rf"```\w+ {name}\n(.*?)```", GUIDE, re.DOTALL)
        text = text.replace("http://127.0.0.1:8001", gateway.url).replace("5173", home.rpartition(":")[2])
        (folder / name).write_text(text, encoding="utf-8")
    environment = {"DARKROOM_API_KEY": KEY}
    with run_program(find_program("node"), "server.mjs", cwd=folder, environment=environment) as backend:
        wait_until(lambda: backend.poll() is not None or _is_served(home), "the backend of the guide")
        yield


def _is_served(home: str) -> bool:
    try:
        return httpx.get(home, **HTTP_OPTIONS).is_success
    except httpx.TransportError:
        return False


async def test_an_attempt_whose_answer_is_lost_makes_one_job(page: Page, gateway: LoneGateway) -> None:
    before = list_jobs(gateway)
    attempts = 0

    async def lose_first_answer(route: Route) -> None:
        nonlocal attempts
        attempts += route.request.method == "POST"
        if attempts > 1:
            await route.continue_()
            return
        answer = await route.fetch()
        headers = {name: answer.headers[name] for name in answer.headers if name.startswith("access-control")}
        await route.fulfill(status=503, headers={**headers, "Retry-After": "1"})

    await page.route("**/upload", lose_first_answer)
    handle = await run(page, gateway, "return darkroom.upload(await draw(320, 240));")

    assert attempts == 2
    assert list_jobs(gateway) == [handle["taskId"], *before]


async def test_an_aborted_upload_leaves_no_job_and_no_blob(
    page: Page, origin: str, frontend_stack: Stack, tmp_path: Path
) -> None:
    body = f"""
        const file = new File([await draw(320, 240), new Uint8Array({SIZE})], "large.png");
        const abort = (resumableBytes) => {{
            const controller = new AbortController();
            const options = {{ signal: controller.signal, onProgress: () => controller.abort() }};
            const client = new Darkroom(url, {{ resumableBytes }});
            return client.upload(file, options).then(() => "accepted", ({{ name }}) => name);
        }};
        return [await abort(Infinity), await abort(0)]; // as a form, and in parts"""
    with run_lone_gateway(frontend_stack, tmp_path, DARKROOM_CORS__ORIGINS=json.dumps([origin])) as gateway:
        before = list_jobs(gateway)
        devtools = await page.context.new_cdp_session(page)
        await devtools.send("Network.emulateNetworkConditions", SLOW_LINE)  # or all is sent before the page hears of it

        ends = await run(page, gateway, body)

        assert ends == ["AbortError", "AbortError"]
        wait_until(lambda: not [path for path in gateway.blob_folder.rglob("*") if path.is_file()], "no blob")
        assert list_jobs(gateway) == before
