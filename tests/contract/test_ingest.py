"""Events of buckets over HTTP and real stores: one job for each version of an object, and whose it is."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Collection
from dataclasses import replace
from hashlib import sha256
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import generate_latest
from pymongo.errors import AutoReconnect
from redis import Redis

from gateway.ingest.shapes import MAX_EVENTS
from pipeline.http_settings import AccessSettings
from pipeline.ingest_settings import IngestSettings
from pipeline.outbound_settings import SourceBucket
from pipeline.settings import Settings
from storage.clock import now_ms
from storage.documents import Job, JobState, Source
from storage.events import EventType
from storage.idempotency import IdempotencyKey
from storage.jobs import Jobs
from storage.stores import Stores
from tests.contract.conftest import create_client, create_gateway
from tests.contract.http_helpers import ADA_KEY, ZOE_KEY, list_job_ids
from tests.support import bucket_events as sent
from tests.support.bucket_events import TIME_MS, aws, aws_record
from tests.support.presets import PRODUCT, SHOP, use_presets
from tests.support.tokens import SECRETS, sign, upload_claims
from tests.support.webhooks import new_endpoint

PATH = "/ingest/s3"
ADA, ZOE = {"X-API-Key": ADA_KEY}, {"X-API-Key": ZOE_KEY}


class FailingJobs(Jobs):
    """Jobs of a database that goes away at some inserts, by their number: before it has acted, or after."""

    def __init__(self, *, before: Collection[int] = (), after: Collection[int] = ()) -> None:
        super().__init__()
        self._before, self._after, self._inserts = before, after, 0

    async def insert(self, job: Job) -> None:
        self._inserts += 1
        number = self._inserts
        if number in self._before:
            raise AutoReconnect("10.0.0.7 is away")
        await super().insert(job)
        if number in self._after:
            raise AutoReconnect("10.0.0.7 is away")


@pytest.fixture
def keyed(settings: Settings) -> Settings:
    """Settings where Ada and Zoe have keys, a bucket each and one that both may use."""
    both = SourceBucket(url="s3://both")
    return settings.model_copy(
        update={
            "api_keys": {name: sha256(key.encode()).hexdigest() for name, key in (("ada", ADA_KEY), ("zoe", ZOE_KEY))},
            "sources": {
                "ada": (SourceBucket(url="s3://incoming/shop"), both),
                "zoe": (SourceBucket(url="s3://incoming/zoe"), both),
            },
            "ingest": IngestSettings(ignore=("*.xmp", "shop/thumbs/*")),
        }
    )


@pytest.fixture
def app(stores: Stores, keyed: Settings, redis: Redis) -> FastAPI:  # noqa: ARG001
    return create_gateway(stores, keyed)


@pytest.fixture
async def http(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with create_client(app) as client:
        yield client


async def post(http: httpx.AsyncClient, body: Any, **options: Any) -> httpx.Response:
    return await http.post(PATH, json=body, **{"headers": ADA} | options)


async def ingest(http: httpx.AsyncClient, body: Any, **options: Any) -> list[tuple[str, str | None]]:
    """Post a body, and return the outcome of each event and its job."""
    answer = await post(http, body, **options)
    assert answer.status_code in {200, 202}, answer.text
    shown = answer.json()
    outcomes = [event["outcome"] for event in shown["events"]]
    assert {name: shown[name] for name in ("accepted", "repeated", "ignored", "refused")} == {
        name: outcomes.count(name) for name in ("accepted", "repeated", "ignored", "refused")
    }
    assert (answer.status_code == 202) == ("accepted" in outcomes)
    return [(event["outcome"], event["task_id"]) for event in shown["events"]]


async def ingest_one(http: httpx.AsyncClient, body: Any, **options: Any) -> tuple[str, str | None]:
    (outcome,) = await ingest(http, body, **options)
    return outcome


@pytest.mark.parametrize(
    "body", [aws(), sent.sns(aws()), sent.eventbridge(), sent.minio(), sent.minio_redis(), sent.seaweed()]
)
async def test_a_new_object_becomes_a_job_that_fetches_it(http: httpx.AsyncClient, stores: Stores, body: Any) -> None:
    outcome, task_id = await ingest_one(http, body)

    job = await stores.jobs.get(task_id or "")
    assert (outcome, job.owner, job.state) == ("accepted", "ada", JobState.ACCEPTED)
    assert job.source == Source(address="s3://incoming/shop/cat.jpg", key="shop/cat.jpg")
    assert (job.original.name, job.original.is_stored) == ("cat.jpg", False)
    assert list(job.stages)[:2] == ["fetch", "validate"]
    assert UUID(job.id).int >> 80 == TIME_MS // 1000 * 1000
    assert abs(job.upload_started_ms - now_ms()) < 60_000


async def test_the_job_fetches_the_version_of_the_event(http: httpx.AsyncClient, stores: Stores) -> None:
    _, task_id = await ingest_one(http, sent.seaweed_version("shop/cat.jpg", "6713114fd22c"))

    job = await stores.jobs.get(task_id or "")
    assert job.source is not None
    assert (job.source.address, job.source.version) == ("s3://incoming/shop/cat.jpg", "6713114fd22c")


async def test_an_event_that_comes_again_makes_no_second_job(http: httpx.AsyncClient) -> None:
    first = await ingest_one(http, aws())
    again = [await ingest_one(http, body) for body in (aws(), sent.sns(aws()), sent.eventbridge())]

    assert first[0] == "accepted"
    assert again == [("repeated", first[1])] * 3
    assert await list_job_ids() == [first[1]]


async def test_events_that_come_at_the_same_time_make_one_job(
    http: httpx.AsyncClient, stores: Stores, keyed: Settings
) -> None:
    async with create_client(create_gateway(stores, keyed)) as other:
        clients = [http, other] * 8
        answers = await asyncio.gather(*(ingest(client, aws(aws_record(), aws_record())) for client in clients))

    outcomes = [outcome for answer in answers for outcome, _ in answer]
    assert (outcomes.count("accepted"), outcomes.count("repeated")) == (1, 31)
    assert await list_job_ids() == [answers[0][0][1]]


@pytest.mark.parametrize(
    "changes", [{"eTag": "b4db92979cb2fe6a51d2e3c8025d9941"}, {"sequencer": "0061A54E51096C5C"}, {"versionId": "2"}]
)
async def test_another_version_of_the_object_is_another_job(http: httpx.AsyncClient, changes: dict[str, str]) -> None:
    await ingest_one(http, aws())

    assert (await ingest_one(http, aws(aws_record(**changes))))[0] == "accepted"
    assert len(await list_job_ids()) == 2


async def test_an_event_whose_job_was_removed_makes_no_other_one_for_a_while(
    http: httpx.AsyncClient, stores: Stores
) -> None:
    _, task_id = await ingest_one(http, aws())
    await stores.jobs.withdraw(task_id or "")

    assert await ingest_one(http, aws()) == ("repeated", task_id)
    await IdempotencyKey.get_motor_collection().update_many({}, {"$set": {"expires_ms": 1}})
    assert await ingest_one(http, aws()) == ("accepted", task_id)


async def test_another_preset_is_another_job(app: FastAPI, http: httpx.AsyncClient, stores: Stores) -> None:
    use_presets(app, product=PRODUCT)

    first = await ingest_one(http, aws())
    second, again = [await ingest_one(http, aws(), params={"preset": "product"}) for _ in range(2)]

    assert (first[0], second[0], again[0]) == ("accepted", "accepted", "repeated")
    job = await stores.jobs.get(second[1] or "")
    assert job.operation.preset
    assert job.operation.preset.name == "product"


@pytest.mark.parametrize("event", [EventType.RENDITION_DONE, EventType.JOB_DONE])
async def test_the_renditions_of_the_job_are_announced_where_a_webhook_wants_it(
    http: httpx.AsyncClient, stores: Stores, event: EventType
) -> None:
    await stores.webhooks.insert(new_endpoint(owner="ada", events=[event]))

    _, task_id = await ingest_one(http, aws())

    job = await stores.jobs.get(task_id or "")
    assert job.announces_renditions == (event is EventType.RENDITION_DONE)


async def test_an_object_of_another_owner_is_refused_and_named(http: httpx.AsyncClient) -> None:
    answer = await post(http, aws(aws_record("zoe/cat.jpg"), aws_record("shop/cat.jpg")))

    assert answer.status_code == 202
    refused, accepted = answer.json()["events"]
    assert (refused["outcome"], refused["key"], refused["task_id"]) == ("refused", "zoe/cat.jpg", None)
    assert accepted["outcome"] == "accepted"


@pytest.mark.parametrize(
    "record",
    [
        aws_record("shop2/cat.jpg"),
        aws_record("cat.jpg"),
        aws_record(bucket="other"),
        aws_record("SHOP/cat.jpg"),
        aws_record("shop/cat.jpg", bucket="Incoming"),
    ],
)
async def test_an_object_outside_of_the_sources_is_refused(http: httpx.AsyncClient, record: dict[str, Any]) -> None:
    assert await ingest(http, aws(record)) == [("refused", None)]
    assert await list_job_ids() == []


@pytest.mark.parametrize("key", ["shop/../zoe/cat.jpg", "shop/./cat.jpg", "shop//cat.jpg"])
async def test_a_key_that_a_store_may_read_as_another_one_is_ignored(http: httpx.AsyncClient, key: str) -> None:
    assert await ingest(http, aws(aws_record(key))) == [("ignored", None)]


async def test_one_object_of_two_owners_is_a_job_of_each(http: httpx.AsyncClient, stores: Stores) -> None:
    body = aws(aws_record("cat.jpg", bucket="both"))
    _, of_ada = await ingest_one(http, body)
    _, of_zoe = await ingest_one(http, body, headers=ZOE)

    assert of_ada != of_zoe
    assert {(await stores.jobs.get(task_id or "")).owner for task_id in (of_ada, of_zoe)} == {"ada", "zoe"}
    assert (await http.get(f"/task-status/{of_ada}", headers=ZOE)).status_code == 404


async def test_without_keys_everybody_has_the_sources_of_the_star(
    stores: Stores,
    settings: Settings,
    redis: Redis,  # noqa: ARG001
) -> None:
    sources = {"*": (SourceBucket(url="s3://incoming"),), "ada": (SourceBucket(url="s3://other"),)}
    app = create_gateway(stores, settings.model_copy(update={"sources": sources}))
    async with create_client(app) as http:
        (outcome, task_id), refused = await ingest(http, aws(aws_record(), aws_record(bucket="other")), headers={})

    assert (outcome, refused) == ("accepted", ("refused", None))
    assert (await stores.jobs.get(task_id or "")).owner is None


@pytest.mark.parametrize(
    "body",
    [
        aws(aws_record(event="ObjectRemoved:Delete")),
        aws(aws_record("shop/")),
        aws(aws_record(size=0)),
        aws(aws_record("shop/cat.jpg.xmp")),
        aws(aws_record("shop/thumbs/deep/cat.jpg")),
        aws({}),
        {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "incoming"},
        sent.sns("You have chosen", kind="SubscriptionConfirmation"),
        sent.seaweed("shop", is_directory=True, chunks=[]),
    ],
)
async def test_what_is_no_new_photo_is_ignored_with_a_reason(http: httpx.AsyncClient, body: Any) -> None:
    answer = await post(http, body)

    (event,) = answer.json()["events"]
    assert (answer.status_code, event["outcome"], event["task_id"]) == (200, "ignored", None)
    assert event["reason"].endswith(".")
    assert await list_job_ids() == []


async def test_an_event_of_a_far_future_has_an_early_id_and_is_still_once(http: httpx.AsyncClient) -> None:
    body = aws(aws_record(time="9999-12-31T23:59:59Z"))
    first, again = [await ingest_one(http, body) for _ in range(2)]

    assert (first[0], again) == ("accepted", ("repeated", first[1]))
    assert UUID(first[1] or "").int >> 80 == 0


async def test_the_type_of_the_content_does_not_matter(http: httpx.AsyncClient) -> None:
    headers = ADA | {"Content-Type": "text/plain; charset=UTF-8"}

    assert (await ingest_one(http, sent.sns(aws()), headers=headers))[0] == "accepted"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"X-API-Key": "wrong"}, 401),
        ({"Authorization": f"Bearer {ADA_KEY}"}, 202),
        ({"Authorization": f"Basic {b64encode(f'sns:{ADA_KEY}'.encode()).decode()}"}, 202),
        ({"Authorization": f"Basic {b64encode(b'sns:wrong').decode()}"}, 401),
        ({"Authorization": "Basic !"}, 401),
        ({"Authorization": "Basic /w=="}, 401),
    ],
)
async def test_only_keys_may_send_events(http: httpx.AsyncClient, headers: dict[str, str], status: int) -> None:
    answer = await post(http, aws(), headers=headers)

    assert answer.status_code == status
    assert ("Basic" in answer.headers.get("www-authenticate", "")) == (status == 401)


async def test_basic_credentials_are_for_no_other_route(http: httpx.AsyncClient) -> None:
    headers = {"Authorization": f"Basic {b64encode(f'sns:{ADA_KEY}'.encode()).decode()}"}

    answer = await http.get("/jobs", headers=headers)

    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


async def test_an_upload_token_sends_no_events(stores: Stores, keyed: Settings) -> None:
    app = create_gateway(stores, keyed.model_copy(update={"signing_secrets": SECRETS}))
    async with create_client(app) as http:
        answer = await post(http, aws(), headers={"Authorization": f"Bearer {sign(upload_claims())}"})

    assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")


async def test_a_preset_that_there_is_not_is_an_error(http: httpx.AsyncClient) -> None:
    answer = await post(http, aws(), params={"preset": "defualt"})

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert "Did you mean default?" in answer.json()["errors"][0]["message"]


async def test_a_preset_that_needs_metadata_is_an_error_as_events_bring_none(
    app: FastAPI, http: httpx.AsyncClient
) -> None:
    plain = {**SHOP, "destination": {"name": "shop", "key": "{task_id}/{rendition}{dpr}.{ext}"}}
    use_presets(app, shop=SHOP, plain=plain)

    refused = await post(http, aws(), params={"preset": "shop"})
    outcome, _ = await ingest_one(http, aws(), params={"preset": "plain"})

    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_request")
    assert refused.json()["errors"][0]["rule"] == "metadata"
    assert outcome == "accepted"


async def test_a_key_is_limited_to_its_presets(stores: Stores, keyed: Settings) -> None:
    limited = keyed.model_copy(update={"key_presets": {"ada": ("product",)}})
    app = use_presets(create_gateway(stores, limited), product=PRODUCT)
    async with create_client(app) as http:
        refused = await post(http, aws(), params={"preset": "default"})
        _, task_id = await ingest_one(http, aws())

    assert (refused.status_code, refused.json()["code"]) == (403, "preset_not_allowed")
    job = await stores.jobs.get(task_id or "")
    assert job.operation.preset
    assert job.operation.preset.name == "product"


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'{"a": 1}', b"[" * 10_000])
async def test_a_body_that_nobody_sends_is_an_error_of_the_client(http: httpx.AsyncClient, content: bytes) -> None:
    answer = await http.post(PATH, content=content, headers=ADA)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


async def test_bodies_are_bounded_in_bytes_and_events(http: httpx.AsyncClient) -> None:
    large = await http.post(PATH, content=bytes(2**20 + 1), headers=ADA)
    many = await post(http, aws(*[{}] * (MAX_EVENTS + 1)))

    assert (large.status_code, many.status_code) == (413, 422)


async def test_many_events_of_a_body_make_a_job_each(http: httpx.AsyncClient) -> None:
    body = aws(*(aws_record(f"shop/{number}.jpg") for number in range(30)))

    first, again = await ingest(http, body), await ingest(http, body)

    assert [outcome for outcome, _ in first] == ["accepted"] * 30
    assert again == [("repeated", task_id) for _, task_id in first]


@pytest.mark.parametrize("failing", [{"before": {2}}, {"after": {2}}, {"before": {1, 2, 3}}])
async def test_a_database_that_goes_away_lets_the_sender_repeat_and_no_event_is_lost_or_doubled(
    app: FastAPI, http: httpx.AsyncClient, stores: Stores, failing: dict[str, set[int]]
) -> None:
    body = aws(*(aws_record(f"shop/{number}.jpg") for number in range(3)))
    app.state.stores = replace(stores, jobs=FailingJobs(**failing))

    failed = await post(http, body)
    outcomes = await ingest(http, body)

    assert (failed.status_code, failed.json()["code"]) == (503, "unavailable")
    assert int(failed.headers["retry-after"]) > 0
    assert {outcome for outcome, _ in outcomes} <= {"accepted", "repeated"}
    assert sorted(await list_job_ids()) == sorted(task_id or "" for _, task_id in outcomes)


async def test_events_wait_while_a_queue_is_full(app: FastAPI, http: httpx.AsyncClient, keyed: Settings) -> None:
    app.state.settings = keyed.model_copy(update={"access": AccessSettings(max_queue=2)})
    for _ in range(2):
        app.state.queues.push("validate", 1)

    answer = await post(http, aws())

    assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")


async def test_outcomes_are_counted_by_the_gateway(app: FastAPI, http: httpx.AsyncClient) -> None:
    body = aws(aws_record(), aws_record(bucket="other"), {})
    for _ in range(2):
        await ingest(http, body)

    lines = generate_latest(app.state.metrics.registry).decode().splitlines()
    counts = dict(line.split(" ") for line in lines if line.startswith("darkroom_ingest_events_total"))
    assert {name.split('"')[1]: float(count) for name, count in counts.items()} == {
        "accepted": 1,
        "repeated": 1,
        "ignored": 2,
        "refused": 2,
    }
