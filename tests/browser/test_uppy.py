"""An upload client of other people, unchanged: Uppy's XHRUpload with its defaults."""

from __future__ import annotations

import httpx
from playwright.async_api import Response, Route

from deploy.local.stack import Stack
from tests.browser.npm import read_package_file
from tests.browser.page_helpers import Visitor, jpeg
from tests.integration.api_helpers import wait_for_all

PAGE = """<!doctype html><title>Uppy</title><input id="photos" type="file" multiple><output></output>
<script src="/uppy.min.js"></script>
<script>
  const uppy = new Uppy.Uppy().use(Uppy.XHRUpload, { endpoint: "/upload" });
  document.querySelector("input").addEventListener("change", async ({ target }) => {
    uppy.addFiles([...target.files].map(file => ({ name: file.name, type: file.type, data: file })));
    const { successful, failed } = await uppy.upload();
    document.querySelector("output").textContent = `${successful.length} sent, ${failed.length} not`;
  });
</script>"""


async def test_uppy_uploads_three_photos_with_its_defaults(
    visitor: Visitor, frontend_stack: Stack, api: httpx.Client
) -> None:
    bundle = read_package_file("uppy-6.0.1", "dist/uppy.min.js")

    async def serve(route: Route) -> None:
        script = route.request.url.endswith(".js")
        await route.fulfill(body=bundle if script else PAGE, content_type="text/javascript" if script else "text/html")

    visitor.url = frontend_stack.url
    page = await visitor.open("/livez")
    await page.route("**/uppy*", serve)
    answers: list[Response] = []
    page.on("response", lambda response: answers.append(response) if response.request.method == "POST" else None)
    await page.goto(f"{frontend_stack.url}/uppy.html")

    await page.locator("#photos").set_input_files([jpeg("one.jpg"), jpeg("two.jpg"), jpeg("three.jpg")])

    await page.get_by_text("3 sent, 0 not").wait_for()
    assert [answer.status for answer in answers] == [202, 202, 202]
    jobs = wait_for_all(api, [(await answer.json())["task_id"] for answer in answers])
    assert {(job["status"], job["original"]["name"]) for job in jobs} == {
        ("done", name) for name in ("one.jpg", "two.jpg", "three.jpg")
    }
