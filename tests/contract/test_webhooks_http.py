"""Webhooks over HTTP, over the real stores and the fakes: what is accepted, what is refused, and what is shown."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Any

import httpx
import pytest
from redis import Redis
from structlog.typing import EventDict

from gateway.webhooks.fixed import fixed_endpoints, store_fixed_endpoints
from pipeline.outbound_settings import FixedWebhook, OutboundSettings, WebhookSettings
from pipeline.settings import Settings
from storage.blobs import Blobs
from storage.clock import now_ms
from storage.stores import Stores
from storage.webhooks import DisabledReason, WebhookEndpoint
from tests.contract.conftest import create_client, create_gateway
from tests.contract.http_helpers import ADA_KEY, ZOE_KEY
from tests.support.fakes import FakeJobs, FakeStores
from tests.support.webhooks import SECRET, new_delivery, new_endpoint

ADA, ZOE = {"X-API-Key": ADA_KEY}, {"X-API-Key": ZOE_KEY}
URL = "https://shop.example/hook?token=hidden"
LIMIT = 3
DAY_MS, FAR_MS = 86_400_000, 10**13
FIXED = WebhookEndpoint(id="fixed-shop", owner="ada", url=URL, events=["job.done"])


class World:
    """A gateway where Ada and Zoe have keys."""

    def __init__(self, http: httpx.AsyncClient, stores: Stores) -> None:
        self.http, self.stores = http, stores

    async def create(self, **wanted: Any) -> dict[str, Any]:
        """Create a webhook of Ada's, and return the answer."""
        answer = await self.http.post("/webhooks", json={"url": URL} | wanted, headers=ADA)
        assert answer.status_code == 201, answer.text
        created: dict[str, Any] = answer.json()
        return created

    async def change(self, webhook_id: str, **wanted: Any) -> dict[str, Any]:
        answer = await self.http.patch(f"/webhooks/{webhook_id}", json=wanted, headers=ADA)
        assert answer.status_code == 200, answer.text
        changed: dict[str, Any] = answer.json()
        return changed

    async def add(self, **fields: Any) -> WebhookEndpoint:
        """Store an endpoint of Ada's as it is."""
        endpoint = new_endpoint(**{"owner": "ada"} | fields)
        await self.stores.webhooks.insert(endpoint)
        return endpoint

    async def read(self, webhook_id: str) -> WebhookEndpoint:
        return await self.stores.webhooks.get(webhook_id, owner=None)


@pytest.fixture(params=["real", "fake"])
def both(request: pytest.FixtureRequest) -> Stores:
    """The real stores, then the fakes."""
    if request.param == "fake":
        return FakeStores(FakeJobs(), Blobs.open("memory:///"))
    stores: Stores = request.getfixturevalue("stores")
    return stores


@pytest.fixture
async def world(both: Stores, settings: Settings, redis: Redis) -> AsyncIterator[World]:  # noqa: ARG001
    keys = {owner: sha256(key.encode()).hexdigest() for owner, key in (("ada", ADA_KEY), ("zoe", ZOE_KEY))}
    changes = {"api_keys": keys, "webhooks": WebhookSettings(max_per_owner=LIMIT)}
    async with create_client(create_gateway(both, settings.model_copy(update=changes))) as client:
        yield World(client, both)


async def test_a_new_webhook_is_shown_with_its_secret_once(world: World) -> None:
    answer = await world.http.post("/webhooks", json={"url": URL, "description": "the shop"}, headers=ADA)

    created = answer.json()
    path = f"/webhooks/{created['webhook_id']}"
    assert (answer.status_code, answer.headers["location"], answer.headers["cache-control"]) == (201, path, "no-store")
    assert len(b64decode(created.pop("secret").removeprefix("whsec_"), validate=True)) == 32
    assert (created["url"], created["description"], created["thin"]) == (URL, "the shop", False)
    assert created["events"] == ["job.done", "job.failed", "job.dead", "job.cancelled", "job.expired"]
    assert (created["disabled"], created["disabled_reason"], created["failing_since"]) == (False, None, None)
    shown = await world.http.get(path, headers=ADA)
    assert (shown.json(), shown.headers["etag"]) == (created, answer.headers["etag"])
    assert (await world.http.get("/webhooks", headers=ADA)).json() == {"webhooks": [created]}


async def test_the_secret_signs_and_is_in_no_log_line(world: World, logs: list[EventDict]) -> None:
    created = await world.create()

    endpoint = await world.read(created["webhook_id"])

    assert [secret.value for secret in endpoint.secrets] == [created["secret"]]
    [line] = [line for line in logs if line["event"] == "webhook.created"]
    assert (line["owner"], line["host"], line["webhook_id"]) == ("ada", "shop.example", endpoint.id)
    assert not any(text in str(logs) for text in (created["secret"], "hidden", "/hook"))


async def test_events_are_stored_once_each(world: World) -> None:
    created = await world.create(events=["rendition.done", "job.done", "job.done"], thin=True, disabled=True)

    assert created["events"] == ["job.done", "rendition.done"]
    assert (created["thin"], created["disabled"], created["disabled_reason"]) == (True, True, "owner")
    assert created["disabled_at"] is not None


WRONG = [
    ({}, "/body/url", "missing"),
    ({"url": None}, "/body/url", "string_type"),
    ({"url": ""}, "/body/url", "string_too_short"),
    ({"url": "https://shop.example/" + "x" * 2048}, "/body/url", "string_too_long"),
    ({"url": "shop.example/hook"}, "/body/url", "refused"),
    ({"url": "ftp://shop.example/hook"}, "/body/url", "refused"),
    ({"url": "https://"}, "/body/url", "refused"),
    ({"url": "https://ada:secret@shop.example/hook"}, "/body/url", "refused"),
    ({"url": "https://shop.example:22/hook"}, "/body/url", "refused"),
    ({"url": "http://127.0.0.1/hook"}, "/body/url", "refused"),
    ({"url": "http://localhost/hook"}, "/body/url", "refused"),
    ({"url": "http://[::1]/hook"}, "/body/url", "refused"),
    ({"url": "http://169.254.169.254/latest"}, "/body/url", "refused"),
    ({"url": "https://shop.example/a b"}, "/body/url", "refused"),
    ({"url": "https://shop.example/\n"}, "/body/url", "refused"),
    ({"url": URL, "events": []}, "/body/events", "too_short"),
    ({"url": URL, "events": ["job.sold"]}, "/body/events/0", "enum"),
    ({"url": URL, "events": "job.done"}, "/body/events", "list_type"),
    ({"url": URL, "events": ["job.done"] * 21}, "/body/events", "too_long"),
    ({"url": URL, "description": "x" * 201}, "/body/description", "string_too_long"),
    ({"url": URL, "thin": "yes"}, "/body/thin", "bool_type"),
    ({"url": URL, "disabled": 1}, "/body/disabled", "bool_type"),
    ({"url": URL, "secret": "whsec_AAAA"}, "/body/secret", "extra_forbidden"),
]


@pytest.mark.parametrize(("wanted", "pointer", "rule"), WRONG)
async def test_a_wrong_request_is_refused_with_where_it_is_wrong(
    world: World, wanted: dict[str, Any], pointer: str, rule: str
) -> None:
    created, changed = (
        await world.http.post("/webhooks", json=wanted, headers=ADA),
        await world.http.patch(f"/webhooks/{(await world.add()).id}", json=wanted, headers=ADA),
    )

    for answer in (created, *([changed] if wanted else [])):
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
        [error] = answer.json()["errors"]
        assert (error["pointer"], error["rule"]) == (pointer, rule)
        assert "secret@" not in answer.text
    assert await world.stores.webhooks.count("ada") == 1


async def test_half_a_character_is_no_text(world: World) -> None:
    content = b'{"url": "https://shop.example/", "description": "\\ud800"}'

    answer = await world.http.post("/webhooks", content=content, headers=ADA | {"Content-Type": "application/json"})

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/body/description")


async def test_an_address_inside_is_taken_where_the_settings_allow_it(
    both: Stores,
    settings: Settings,
    redis: Redis,  # noqa: ARG001
) -> None:
    allowing = settings.model_copy(update={"outbound": OutboundSettings(allow=("127.0.0.0/8",))})
    async with create_client(create_gateway(both, allowing)) as http:
        answer = await http.post("/webhooks", json={"url": "http://127.0.0.1:8080/hook"})

    assert answer.status_code == 201
    assert (await both.webhooks.list(None))[0].owner is None


async def test_an_owner_has_a_limited_number_of_webhooks(world: World) -> None:
    await world.stores.webhooks.put_fixed([FIXED])
    for _ in range(LIMIT):
        await world.create()

    refused = await world.http.post("/webhooks", json={"url": URL}, headers=ADA)
    of_another = await world.http.post("/webhooks", json={"url": URL}, headers=ZOE)

    assert (refused.status_code, refused.json()["code"]) == (409, "too_many_webhooks")
    assert of_another.status_code == 201
    assert await world.stores.webhooks.count("ada") == LIMIT


async def test_webhooks_are_listed_newest_first(world: World) -> None:
    created = [(await world.create(description=str(n)))["webhook_id"] for n in range(3)]

    listed = (await world.http.get("/webhooks", headers=ADA)).json()["webhooks"]

    assert [webhook["webhook_id"] for webhook in listed] == created[::-1]
    assert all("secret" not in webhook for webhook in listed)


async def test_only_what_is_sent_changes(world: World) -> None:
    created = await world.create(description="old", events=["job.dead"])

    changed = await world.change(created["webhook_id"], url="https://new.example/", description="", thin=True)

    assert changed["url"] == "https://new.example/"
    assert (changed["description"], changed["thin"], changed["events"]) == ("", True, ["job.dead"])
    assert await world.change(created["webhook_id"]) == changed


@pytest.mark.parametrize("field", ["url", "events", "description", "thin", "disabled"])
async def test_null_is_no_way_to_leave_something_out(world: World, field: str) -> None:
    endpoint = await world.add()

    answer = await world.http.patch(f"/webhooks/{endpoint.id}", json={field: None}, headers=ADA)

    assert answer.json()["errors"][0]["pointer"] == f"/body/{field}"
    assert await world.read(endpoint.id) == endpoint


async def test_a_new_address_is_not_blamed_for_the_failures_of_the_old_one(world: World) -> None:
    endpoint = await world.add(failing_since_ms=1)

    changed = await world.change(endpoint.id, url="https://new.example/")

    assert changed["failing_since"] is None


async def test_a_disabled_webhook_keeps_its_first_reason(world: World) -> None:
    failing = await world.add(disabled=DisabledReason.FAILING, disabled_ms=5)
    working = await world.add()

    changed = [await world.change(each.id, disabled=True) for each in (failing, working)]

    assert [each["disabled_reason"] for each in changed] == ["failing", "owner"]
    assert (await world.read(failing.id)).disabled_ms == 5


@pytest.mark.parametrize("reason", DisabledReason)
async def test_an_enabled_webhook_is_tried_again_at_once(world: World, redis: Redis, reason: DisabledReason) -> None:
    endpoint = await world.add(disabled=reason, disabled_ms=5, failing_since_ms=4)
    pending = new_delivery(endpoint, next_try_ms=FAR_MS)
    await world.stores.deliveries.insert_new([pending])

    changed = await world.change(endpoint.id, disabled=False)

    assert (changed["disabled"], changed["disabled_reason"], changed["disabled_at"]) == (False, None, None)
    assert (changed["failing_since"], changed["events"]) == (None, ["job.done"])
    enabled, due = await world.read(endpoint.id), await world.stores.deliveries.get(pending.id, owner=None)
    assert (enabled.wakes, enabled.due_ms is not None and enabled.due_ms <= now_ms()) == (1, True)
    assert due.next_try_ms is not None
    assert due.next_try_ms <= now_ms()
    assert redis.llen("notify") == 1


async def test_a_webhook_that_works_is_not_woken_by_enabling_it(world: World, redis: Redis) -> None:
    endpoint = await world.add()

    await world.change(endpoint.id, disabled=False)

    assert redis.llen("notify") == 0
    assert (await world.read(endpoint.id)).wakes == 0


async def test_a_removed_webhook_is_gone_with_its_deliveries(world: World) -> None:
    endpoint = await world.add()
    await world.stores.deliveries.insert_new([new_delivery(endpoint)])

    answers = [await world.http.delete(f"/webhooks/{endpoint.id}", headers=ADA) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [204, 404]
    page = await world.stores.deliveries.page(endpoint.id, state=None, before=None, limit=1)
    assert page.deliveries == []


async def test_a_rotated_secret_signs_beside_the_old_one_for_a_day(world: World) -> None:
    endpoint, before = await world.add(), now_ms()

    answer = await world.http.post(f"/webhooks/{endpoint.id}/rotate", headers=ADA)

    rotated = await world.read(endpoint.id)
    [new, old] = rotated.secrets
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert answer.json()["secret"] == new.value != old.value == SECRET
    assert (new.expires_ms, answer.json()["old_secret_expires_at"] is not None) == (None, True)
    assert old.expires_ms is not None
    assert before + DAY_MS <= old.expires_ms <= now_ms() + DAY_MS


@pytest.mark.parametrize(("expires_in", "kept"), [(0, 1), (60, 2)])
async def test_at_most_two_secrets_are_kept(world: World, expires_in: int, kept: int) -> None:
    endpoint = await world.add()
    first = await world.http.post(f"/webhooks/{endpoint.id}/rotate", headers=ADA)

    second = await world.http.post(f"/webhooks/{endpoint.id}/rotate", json={"expires_in": expires_in}, headers=ADA)

    secrets = [secret.value for secret in (await world.read(endpoint.id)).secrets]
    assert secrets == [second.json()["secret"], first.json()["secret"]][:kept]
    assert (second.json()["old_secret_expires_at"] is None) is (kept == 1)


@pytest.mark.parametrize("expires_in", [-1, 31 * 86_400, 1.5, "60", None, True])
async def test_a_wrong_time_of_a_rotation_changes_no_secret(world: World, expires_in: object) -> None:
    endpoint = await world.add()

    answer = await world.http.post(f"/webhooks/{endpoint.id}/rotate", json={"expires_in": expires_in}, headers=ADA)

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/body/expires_in")
    assert await world.read(endpoint.id) == endpoint


EVERY_WAY = [
    ("GET", ""),
    ("HEAD", ""),
    ("PATCH", ""),
    ("DELETE", ""),
    ("POST", "/rotate"),
    ("POST", "/test"),
    ("GET", "/deliveries"),
    ("GET", "/deliveries/{delivery}"),
    ("POST", "/deliveries/{delivery}/redeliver"),
]


@pytest.mark.parametrize(("method", "rest"), EVERY_WAY)
async def test_a_webhook_of_another_is_as_unknown_as_one_that_never_was(world: World, method: str, rest: str) -> None:
    endpoint = await world.add()
    delivery = new_delivery(endpoint)
    await world.stores.deliveries.insert_new([delivery])
    headers = ZOE | {"X-Request-ID": "the-same"}
    body: dict[str, Any] | None = {} if method == "PATCH" else None

    async def ask(webhook_id: str) -> httpx.Response:
        path = f"/webhooks/{webhook_id}" + rest.format(delivery=delivery.id)
        return await world.http.request(method, path, json=body, headers=headers)

    theirs, nobodys = await ask(endpoint.id), await ask("nobodys")
    assert (theirs.status_code, theirs.text.replace(endpoint.id, "nobodys")) == (404, nobodys.text)
    assert method == "HEAD" or theirs.json()["code"] == "webhook_not_found"
    assert await world.read(endpoint.id) == endpoint
    assert await world.stores.deliveries.get(delivery.id, owner=None) == delivery


@pytest.mark.parametrize(("method", "rest"), EVERY_WAY)
async def test_a_webhook_is_its_owners(world: World, method: str, rest: str) -> None:
    endpoint = await world.add()
    delivery = new_delivery(endpoint)
    await world.stores.deliveries.insert_new([delivery])

    path = f"/webhooks/{endpoint.id}" + rest.format(delivery=delivery.id)
    answer = await world.http.request(method, path, json={} if method == "PATCH" else None, headers=ADA)

    assert answer.status_code in {200, 202, 204}


@pytest.mark.parametrize(("method", "path"), [("PATCH", ""), ("DELETE", ""), ("POST", "/rotate")])
async def test_a_webhook_of_the_settings_is_shown_and_not_changed(world: World, method: str, path: str) -> None:
    await world.stores.webhooks.put_fixed([FIXED])

    answer = await world.http.request(
        method, f"/webhooks/fixed-shop{path}", json={} if method == "PATCH" else None, headers=ADA
    )

    assert (answer.status_code, answer.json()["code"]) == (409, "webhook_fixed")
    shown = (await world.http.get("/webhooks/fixed-shop", headers=ADA)).json()
    assert (shown["fixed"], shown["url"], shown["old_secret_expires_at"]) == (True, URL, None)
    assert (await world.http.get("/webhooks/fixed-shop", headers=ZOE)).status_code == 404


async def test_a_webhook_of_the_settings_can_be_enabled_again(world: World) -> None:
    await world.stores.webhooks.put_fixed([FIXED])

    for disabled in (True, False):
        answer = await world.http.patch("/webhooks/fixed-shop", json={"disabled": disabled}, headers=ADA)
        assert (answer.status_code, answer.json()["disabled"]) == (200, disabled)
    both = {"disabled": False, "url": "https://other.example/"}
    assert (await world.http.patch("/webhooks/fixed-shop", json=both, headers=ADA)).status_code == 409


@pytest.mark.parametrize(("method", "rest"), [("PATCH", ""), ("DELETE", ""), ("POST", "/rotate")])
async def test_a_change_of_what_has_changed_meanwhile_is_refused(world: World, method: str, rest: str) -> None:
    created = await world.http.post("/webhooks", json={"url": URL}, headers=ADA)
    path = created.headers["location"]
    seen = await world.http.get(path, headers=ADA)
    await world.http.patch(path, json={"description": "new"}, headers=ADA)

    body: dict[str, Any] | None = {} if method == "PATCH" else None
    tags = [seen.headers["etag"], (await world.http.get(path, headers=ADA)).headers["etag"]]
    late, known = [
        await world.http.request(method, path + rest, json=body, headers=ADA | {"If-Match": tag}) for tag in tags
    ]

    assert (late.status_code, late.json()["code"]) == (412, "precondition_failed")
    assert known.status_code in {200, 204}


async def test_a_webhook_that_has_not_changed_is_304(world: World) -> None:
    path = (await world.http.post("/webhooks", json={"url": URL}, headers=ADA)).headers["location"]
    shown = await world.http.get(path, headers=ADA)

    again = await world.http.get(path, headers=ADA | {"If-None-Match": shown.headers["etag"]})

    assert (again.status_code, again.content) == (304, b"")


async def test_a_page_of_another_origin_creates_no_webhook(
    both: Stores,
    settings: Settings,
    redis: Redis,  # noqa: ARG001
) -> None:
    """Where no keys are set, the browser of somebody who runs a gateway could send the events anywhere."""
    async with create_client(create_gateway(both, settings)) as http:
        answer = await http.post("/webhooks", json={"url": URL}, headers={"Origin": "https://evil.example"})

    assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")
    assert await both.webhooks.list(None) == []


async def test_two_rotations_at_a_time_leave_both_new_secrets(world: World) -> None:
    """Each caller was shown one: neither may be dropped."""
    endpoint = await world.add()

    answers = await asyncio.gather(*(world.http.post(f"/webhooks/{endpoint.id}/rotate", headers=ADA) for _ in range(2)))

    shown = {answer.json()["secret"] for answer in answers}
    assert {secret.value for secret in (await world.read(endpoint.id)).secrets} == shown
    assert len(shown) == 2


async def test_webhooks_of_the_settings_are_stored_and_a_refused_address_is_logged(
    both: Stores, settings: Settings, logs: list[EventDict]
) -> None:
    fixed = {"shop": FixedWebhook(url="http://10.0.0.7/?hidden", owner="ada", secrets=(SECRET,))}
    changed = settings.model_copy(update={"webhooks": WebhookSettings(fixed=fixed)})

    await store_fixed_endpoints(both, changed)
    await store_fixed_endpoints(both, settings)

    lines = [(line["event"], line["webhook_id"]) for line in logs]
    assert lines == [("webhook.owner_unknown", "fixed-shop"), ("webhook.refused", "fixed-shop")]
    assert "hidden" not in str(logs)
    assert await both.webhooks.list("ada") == []


def test_webhooks_of_the_settings_have_the_events_of_one_that_names_none() -> None:
    fixed = {
        "shop": FixedWebhook(url=URL, owner="ada", secrets=(SECRET,)),
        "ops": FixedWebhook(url=URL, secrets=(SECRET,), events=("job.dead",), is_thin=True),
    }

    shop, ops = fixed_endpoints(WebhookSettings(fixed=fixed))

    assert (shop.id, shop.owner, len(shop.events), shop.secrets) == ("fixed-shop", "ada", 5, [])
    assert (ops.id, ops.owner, ops.events, ops.is_thin) == ("fixed-ops", None, ["job.dead"], True)
