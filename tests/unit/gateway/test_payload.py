"""What an endpoint gets of an event."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.schemas import JobStatus
from gateway.webhooks.handover import build_deliveries, is_wanted
from gateway.webhooks.payload import build_payload
from pipeline.http_settings import HttpSettings
from pipeline.outbound_settings import WebhookSettings
from pipeline.settings import Settings
from storage.documents import Failure, Job, JobState, Kind
from storage.events import EventType, OutboxEvent
from tests.support.announcing import new_ended_job
from tests.support.fakes import new_job
from tests.support.webhooks import new_endpoint

FAILURE = Failure(stage="validate", code="image_corrupt", message="It is damaged.")
MOMENT_MS = 1_700_000_000_123


def payload_of(job: Job, event: OutboxEvent | None = None, *, settings: Settings | None = None, **fields: Any) -> Any:
    """Return the payload of an event of a job, by default its only one, read again."""
    [found] = [event] if event else job.outbox.values()
    return json.loads(build_payload(job, found, new_endpoint(**fields), settings=settings or Settings()))


def test_it_is_the_event_and_the_job_as_its_status_shows_it() -> None:
    job = new_ended_job(ms=MOMENT_MS, metadata={"sku": "é"})

    payload = payload_of(job)

    assert (payload["type"], payload["timestamp"]) == ("job.done", "2023-11-14T22:13:20.123000Z")
    assert payload["data"] == JobStatus.of(job, root_path="").model_dump(mode="json")
    assert list(payload) == ["type", "timestamp", "data"]


def test_it_is_the_same_text_every_time() -> None:
    job, endpoint = new_ended_job(metadata={"sku": "é"}), new_endpoint()
    [event] = job.outbox.values()

    texts = {build_payload(job, event, endpoint, settings=Settings()) for _ in range(3)}

    assert len(texts) == 1
    assert '"sku":"é"' in texts.pop()


def test_the_brief_one_names_the_job_and_its_end() -> None:
    job = new_ended_job(JobState.FAILED, failure=FAILURE, metadata={"sku": "1"})

    assert payload_of(job, is_thin=True)["data"] == {
        "task_id": job.id,
        "kind": "previews",
        "status": "failed",
        "metadata": {"sku": "1"},
        "failure": {"code": "image_corrupt"},
        "links": {"status": f"/task-status/{job.id}", "result": f"/result/{job.id}"},
    }
    assert payload_of(new_ended_job(), is_thin=True)["data"]["failure"] is None


@pytest.mark.parametrize("is_thin", [False, True])
def test_a_rendition_that_is_done_has_its_name(*, is_thin: bool) -> None:
    event = OutboxEvent(type=EventType.RENDITION_DONE, ms=1, rendition="small")

    payload = payload_of(new_job(), event, is_thin=is_thin)

    assert (payload["type"], payload["data"]["rendition"]) == ("rendition.done", "small")
    assert "rendition" not in payload_of(new_ended_job(), is_thin=is_thin)["data"]


@pytest.mark.parametrize("public_url", ["https://photos.example/api", "https://photos.example/api/"])
@pytest.mark.parametrize("is_thin", [False, True])
def test_links_begin_with_the_public_address(public_url: str, *, is_thin: bool) -> None:
    settings = Settings(webhooks=WebhookSettings(public_url=public_url), http=HttpSettings(root_path="/inside"))
    job = new_ended_job()

    links = payload_of(job, settings=settings, is_thin=is_thin)["data"]["links"]

    assert links["status"] == f"https://photos.example/api/task-status/{job.id}"


def test_without_a_public_address_links_begin_with_the_root_path() -> None:
    job = new_ended_job()

    links = payload_of(job, settings=Settings(http=HttpSettings(root_path="/api")))["data"]["links"]

    assert links["result"] == f"/api/result/{job.id}"


def test_what_is_inside_stays_inside() -> None:
    failure = Failure(stage="normalize", code="internal_error", message="KeyError at mongodb://root:secret@db")
    job = new_ended_job(JobState.DEAD, failure=failure)

    assert payload_of(job)["data"] == JobStatus.of(job, root_path="").model_dump(mode="json")


def test_each_event_is_one_delivery_for_each_endpoint_that_wants_it_in_their_order() -> None:
    job = new_ended_job(renditions={"small": 9, "large": 10}, announces_renditions=True, owner="ada")
    everything = new_endpoint(id="all", owner="ada", events=[*EventType])
    ends, failures = new_endpoint(id="ends", owner="ada"), new_endpoint(id="failures", events=["job.failed"])

    deliveries = build_deliveries(job, [everything, ends, failures], Settings())

    assert [delivery.id for delivery in deliveries] == [
        f"{job.id}-0-0-large.all",
        f"{job.id}-0-0-small.all",
        f"{job.id}-0-1-done.all",
        f"{job.id}-0-1-done.ends",
    ]
    assert sorted(deliveries, key=lambda each: each.order) == deliveries
    last = deliveries[-1]
    assert (last.endpoint_id, last.owner, last.event_id) == ("ends", "ada", f"{job.id}-0-1-done")
    assert (last.type, last.task_id, last.state, last.tries) == ("job.done", job.id, "pending", 0)
    assert last.next_try_ms == last.created_ms


def test_events_of_a_newer_version_go_to_who_wants_them() -> None:
    archived = OutboxEvent(type="job.archived", ms=7)
    job = new_job(Kind.CROP, state=JobState.DONE, outbox={archived.key: archived}, outbox_ms=7)

    [delivery] = build_deliveries(job, [new_endpoint(events=["job.archived"]), new_endpoint()], Settings())

    assert (delivery.type, delivery.event_id) == ("job.archived", f"{job.id}-0-1-archived")


def test_events_are_wanted_if_one_endpoint_wants_one_of_them() -> None:
    events = [*new_ended_job(JobState.DEAD).outbox.values(), *new_ended_job().outbox.values()]

    assert is_wanted(events, [new_endpoint(events=["job.failed"]), new_endpoint(events=["job.dead"])])
    assert not is_wanted(events, [new_endpoint(events=["job.failed"])])
    assert not is_wanted(events, [])
    assert not is_wanted([], [new_endpoint()])
