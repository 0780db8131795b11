"""Webhooks and their deliveries on the page, with real events at a real receiver."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from playwright.async_api import BrowserContext, Locator, Page, ViewportSize, expect

from deploy.local.stack import Stack
from tests.browser.npm import read_package_file
from tests.browser.page_helpers import Visitor, choose_option, choose_photos, jpeg, wait_for_job_id, wait_until_done
from tests.conftest import SHORT_TIMEOUTS
from tests.support.http_options import HTTP_CLIENT_OPTIONS
from tests.support.webhook_receiver import Receiver, Reply, run_receiver
from tests.support.webhooks import SECRET

AXE = "axe-core-4.14.1"
PHONE = ViewportSize(width=360, height=740)
ANSWER = '{"error": "the database of the shop is away"}'
PAGE_SIZE = 20


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with run_receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def stack(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that may send to this machine, and does so for one webhook of its settings."""
    fixed = {"shop": {"url": receiver.url("/fixed"), "secrets": [SECRET], "events": ["job.expired"]}}
    environment = SHORT_TIMEOUTS | {
        "DARKROOM_OUTBOUND__ALLOW": '["127.0.0.0/8:*"]',
        "DARKROOM_WEBHOOKS__FIXED": json.dumps(fixed),
        "DARKROOM_WEBHOOKS__RETRY_WAITS": "[3600]",
    }
    folder = tmp_path_factory.mktemp("webhooks_view")
    with Stack(folder, shared_pool=1, outbound_pool=2, environment=environment, frontend=True) as stack:
        yield stack


@pytest.fixture
def http(stack: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.url, timeout=30, **HTTP_CLIENT_OPTIONS) as client:
        yield client


@pytest.fixture
async def guest(stack: Stack, context: BrowserContext) -> AsyncIterator[Visitor]:
    """Somebody who looks at the page of this stack."""
    guest = Visitor(context, stack.frontend_url)
    yield guest
    await guest.leave()
    assert guest.page_errors == []


def create(http: httpx.Client, url: str, **facts: Any) -> str:
    """Create a webhook, and return its id."""
    webhook_id: str = http.post("/webhooks", json={"url": url, **facts}).raise_for_status().json()["webhook_id"]
    return webhook_id


def send_tests(http: httpx.Client, webhook_id: str, count: int = 1) -> list[dict[str, Any]]:
    """Send test events, and return their deliveries."""
    return [http.post(f"/webhooks/{webhook_id}/test").raise_for_status().json() for _ in range(count)]


def show(http: httpx.Client, webhook_id: str) -> dict[str, Any] | None:
    """Return a webhook; None if there is none."""
    answer = http.get(f"/webhooks/{webhook_id}")
    return None if answer.status_code == 404 else answer.raise_for_status().json()


def deliveries(page: Page) -> Locator:
    """Find the rows of deliveries."""
    return page.locator(".deliveries > li")


async def expect_pill(scope: Locator, words: str) -> None:
    """Wait until something says its state."""
    await expect(scope.locator(".pill")).to_have_text(words)


async def test_a_webhook_is_created_its_secret_shown_once_and_what_it_delivered_sent_again(
    guest: Visitor, receiver: Receiver
) -> None:
    page = await guest.open()
    await page.get_by_role("link", name="Webhooks").click()
    await page.get_by_role("button", name="New webhook").click()
    await page.get_by_label("Address").fill("http://10.0.0.1/hook")
    await page.get_by_label("Note for people").fill("The shop")
    await page.keyboard.press("Enter")
    await expect(page.locator(".dialog .failure li")).to_have_text("The address is not one on the Internet.")
    await page.get_by_label("Address").fill(receiver.url("/good"))
    await page.get_by_label("job.expired").uncheck()
    await page.keyboard.press("Enter")

    await expect(page.get_by_role("heading", level=1)).to_have_text(receiver.url("/good"))
    await expect(page.locator(".results")).to_contain_text("The shop")
    await expect(page.locator(".results > div > .sum")).to_contain_text(
        "job.done, job.failed, job.dead, job.cancelled ·"
    )
    await expect_pill(page.locator(".view-head").first, "working")
    await expect(page.get_by_role("button", name="Copy the secret")).to_be_focused()
    secret = await page.locator(".secret code").inner_text()
    assert secret.startswith("whsec_")
    assert secret not in await page.evaluate("JSON.stringify([{ ...localStorage }, { ...sessionStorage }])")
    await page.reload()
    await page.get_by_role("button", name="Send a test").click()
    await expect(page.locator(".secret")).to_have_count(0)
    assert secret not in await page.content()
    await expect_pill(deliveries(page), "delivered")
    address = page.url

    await page.get_by_role("link", name="Upload", exact=True).click()
    await choose_photos(page, jpeg())
    task_id = await wait_for_job_id(await wait_until_done(page))
    await page.goto(address)
    newest = deliveries(page).first
    await expect(newest).to_contain_text("job.done")
    await expect_pill(newest, "delivered")
    await expect(newest).to_contain_text(re.compile(r"· 204 · \d"))
    await newest.locator("summary").click()
    await expect(newest.locator("pre")).to_contain_text(f'"task_id": "{task_id}"')
    await expect(newest.locator(".tries tbody tr")).to_have_count(1)
    await newest.get_by_role("button", name="Send again").click()

    await expect(newest.locator(".tries tbody tr")).to_have_count(2)
    await expect_pill(newest, "delivered")
    sent = [each for each in receiver.received if each.path == "/good"]
    assert [each.verify(secret)["type"] for each in sent] == ["webhook.test", "job.done", "job.done"]
    assert sent[1].event_id == sent[2].event_id


async def test_what_a_failing_address_answers_is_shown_until_a_try_is_successful(
    guest: Visitor, receiver: Receiver, http: httpx.Client
) -> None:
    receiver.reply = lambda request: Reply(503, content=ANSWER.encode()) if request.path == "/bad" else Reply()
    webhook_id = create(http, receiver.url("/bad"))
    send_tests(http, webhook_id)

    page = await guest.open(f"/webhooks/{webhook_id}")
    await expect(deliveries(page).locator(".answer")).to_have_text(ANSWER)
    await expect(deliveries(page)).to_contain_text(re.compile(r"webhook\.test.* · 503 · .*next try", re.DOTALL))
    await expect_pill(deliveries(page), "pending")
    await expect_pill(page.locator(".view-head").first, "failing")
    await expect(page.locator(".hook-why")).to_contain_text("Failing since")
    await page.get_by_label("Status").select_option("delivered")
    await expect(page.locator(".nothing")).to_have_text("No delivery matches.")
    await page.get_by_label("Status").select_option("pending")
    receiver.reply = lambda _: Reply()
    await deliveries(page).get_by_role("button", name="Try now").click()

    await expect_pill(deliveries(page), "delivered")
    await expect_pill(page.locator(".view-head").first, "working")
    await expect(page.locator(".hook-why")).to_be_hidden()


async def test_a_webhook_is_changed_disabled_given_a_new_secret_and_removed(
    guest: Visitor, receiver: Receiver, http: httpx.Client
) -> None:
    webhook_id = create(http, receiver.url("/before"))
    page = await guest.open(f"/webhooks/{webhook_id}")

    await page.get_by_role("button", name="Change").click()
    await page.get_by_label("Address").fill(receiver.url("/after"))
    await page.get_by_label("Thin").check()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text(receiver.url("/after"))
    await page.get_by_role("button", name="Disable").click()
    await expect_pill(page.locator(".view-head").first, "disabled")
    await expect(page.get_by_role("button", name="Send a test")).to_be_disabled()
    await page.get_by_role("button", name="Enable").click()
    await expect_pill(page.locator(".view-head").first, "working")
    await page.get_by_role("button", name="Replace the secret").click()
    await choose_option(page, "no longer")
    await page.keyboard.press("Enter")
    secret = await page.locator(".secret code").inner_text()
    await page.locator("#language").click()  # draws the view again
    await expect(page.locator(".secret code")).to_have_text(secret)
    await page.locator("#language").click()
    await page.get_by_role("button", name="Send a test").click()
    await expect_pill(deliveries(page), "delivered")
    await page.get_by_role("button", name="Remove").click()
    await page.keyboard.press("Escape")
    changed = show(http, webhook_id)
    await page.get_by_role("button", name="Remove").click()
    await page.keyboard.press("Enter")

    await expect(page.locator(".hooks")).not_to_contain_text(receiver.url("/after"))
    assert changed is not None
    assert (changed["thin"], changed["old_secret_expires_at"]) == (True, None)
    assert [each.verify(secret)["type"] for each in receiver.received if each.path == "/after"] == ["webhook.test"]
    assert show(http, webhook_id) is None


async def test_older_deliveries_are_shown_below_and_new_ones_above(
    guest: Visitor, receiver: Receiver, http: httpx.Client
) -> None:
    webhook_id = create(http, receiver.url("/many"))
    sent = send_tests(http, webhook_id, PAGE_SIZE + 2)
    page = await guest.open(f"/webhooks/{webhook_id}")
    await expect(deliveries(page)).to_have_count(PAGE_SIZE)

    await page.get_by_role("button", name="Older").click()
    await expect(deliveries(page)).to_have_count(len(sent))
    await expect(page.get_by_role("button", name="Older")).to_be_hidden()
    await page.get_by_role("button", name="Send a test").click()

    await expect(deliveries(page)).to_have_count(len(sent) + 1)
    await deliveries(page).last.locator("summary").click()
    await expect(deliveries(page).last).to_contain_text(sent[0]["event_id"])
    await deliveries(page).last.get_by_role("button", name="Send again").click()
    await expect(deliveries(page).last.locator(".tries tbody tr")).to_have_count(2)


async def test_the_view_comes_by_itself_once_its_module_can_be_loaded(guest: Visitor, receiver: Receiver) -> None:
    page = await guest.open()
    await page.route("**/views/webhooks.js", lambda route: route.abort())
    await page.get_by_role("link", name="Webhooks").click()
    await expect(page.locator(".failure")).to_contain_text("The server cannot be reached.")
    await expect(page.get_by_role("heading", name="Webhooks")).to_be_focused()

    await page.unroute("**/views/webhooks.js")

    await expect(page.get_by_role("link", name=receiver.url("/fixed"))).to_be_visible()


async def test_axe_finds_nothing_in_the_views_of_webhooks_and_a_phone_needs_no_sideways_scroll(
    guest: Visitor, receiver: Receiver, http: httpx.Client
) -> None:
    receiver.reply = lambda request: Reply(500, content=ANSWER.encode()) if request.path == "/axe" else Reply()
    webhook_id = create(http, receiver.url("/axe"), description="x" * 200)
    send_tests(http, webhook_id)
    page = await guest.open("/webhooks", locale="ru-RU")
    await page.evaluate(f"() => {{ {read_package_file(AXE, 'axe.min.js')}; globalThis.axe = axe; }}")
    found = {}

    async def look(name: str) -> None:
        for width in (PHONE["width"], 1200):
            await page.set_viewport_size({"width": width, "height": 740})
            assert await page.evaluate("document.documentElement.scrollWidth") == width, name
        for scheme in ("dark", "light"):
            await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            results = await page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
            found[name, scheme] = [
                (rule["id"], node["html"]) for rule in results["violations"] for node in rule["nodes"]
            ]

    await expect(page.locator(".hooks")).to_contain_text("из настроек сервера")
    await look("list")
    await page.get_by_role("button", name="Новый вебхук").click()
    await look("form")
    await page.keyboard.press("Escape")
    await page.get_by_role("link", name=receiver.url("/axe")).click()
    await expect(deliveries(page).locator(".answer")).to_be_visible()
    await deliveries(page).locator("summary").click()
    await expect(deliveries(page).locator("pre")).to_be_visible()
    await page.get_by_role("button", name="Сменить секрет").click()
    await look("rotation")
    await page.keyboard.press("Enter")
    await expect(page.locator(".secret code")).to_be_visible()
    await look("webhook")
    await page.goto(f"{guest.url}/#/webhooks/fixed-shop")
    await expect(page.locator(".note")).to_contain_text("здесь не меняется")
    await expect(page.get_by_role("button", name="Удалить")).to_have_count(0)

    assert found == {key: [] for key in found}


async def test_a_webhook_of_nobody_is_said_not_to_be_there(guest: Visitor) -> None:
    page = await guest.open("/webhooks/01a22e7a-0000-7000-8000-000000000000")

    await expect(page.locator(".failure code")).to_have_text("webhook_not_found")
