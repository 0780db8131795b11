"""The browser's own EventSource, behind each front: it survives a restart of the gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
from playwright.async_api import BrowserContext, Page

from deploy.local.stack import Stack
from tests.integration.api_helpers import freeze_process, submit_photo
from tests.integration.front_servers import run_nginx
from tests.support.images import encode_image, photo

FOLLOW = """taskId => {
    const source = new EventSource(`/api/task-status/${taskId}/events`);
    window.ended = new Promise((resolve) => {
        source.addEventListener("job", ({ data }) => {
            const { status } = JSON.parse(data);
            if (status === "done") resolve(status);
        });
        source.addEventListener("error", () => source.readyState === EventSource.CLOSED && resolve("given up"));
    });
    return new Promise((resolve) => source.addEventListener("job", () => resolve(), { once: true }));
}"""


@pytest.fixture
def front_urls(frontend_stack: Stack, tmp_path: Path) -> Iterator[list[str]]:
    """The addresses of the front of `./run up` and of nginx, before the same gateway."""
    with run_nginx(frontend_stack.url, tmp_path) as front:
        yield [frontend_stack.frontend_url, front.url]


async def test_event_source_learns_the_end_of_a_job_after_a_restart_of_the_gateway(
    front_urls: list[str], frontend_stack: Stack, context: BrowserContext, api: httpx.Client
) -> None:
    async with AsyncExitStack() as pages:
        with freeze_process(frontend_stack, "resize"):
            task_id = submit_photo(api, encode_image(photo(), "jpeg"))
            views = [await follow(pages, context, url, task_id) for url in front_urls]
            answers = [asyncio.create_task(view.wait_for_event("response")) for view in views]
            await asyncio.to_thread(frontend_stack.stop_process, "gateway")
            try:
                statuses = [(await answer).status for answer in answers]
            finally:
                await asyncio.to_thread(frontend_stack.start_process, "gateway")

        ends = [await view.evaluate("window.ended") for view in views]

    assert (statuses, ends) == ([200, 200], ["done", "done"])


async def follow(pages: AsyncExitStack, context: BrowserContext, url: str, task_id: str) -> Page:
    """Open a page of the front that follows the job, and return it once it has the first event."""
    page = await context.new_page()
    pages.push_async_callback(page.close)
    await page.goto(f"{url}/icon.svg")
    await page.evaluate(FOLLOW, task_id)
    return page
