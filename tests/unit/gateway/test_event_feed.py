"""The stream of the events of all jobs over fakes: what is sent, to whom, and when it ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pymongo.errors import AutoReconnect

from gateway.app import create_app
from gateway.event_feed.feed import EventFeed
from gateway.event_feed.reader import parse_position
from gateway.lifespan import run_in_background
from gateway.routes import event_feed
from pipeline.http_settings import HttpSettings
from storage.clock import now_ms
from storage.documents import Job, JobState
from storage.job_ends import JobEnd, Moment
from storage.webhooks import WebhookEndpoint
from tests.support.fakes import FakeJobs, FakeStores, new_job
from tests.unit.gateway.conftest import SETTINGS
from tests.unit.gateway.test_events import SECONDS, parse

ENDPOINT = WebhookEndpoint(id="events", url="")
LAST = {"Last-Event-ID": "1000."}


async def end(jobs: FakeJobs, **fields: Any) -> Job:
    values: dict[str, Any] = {"state": JobState.DONE, "finished_ms": now_ms()}
    job = new_job(**values | fields)
    await jobs.insert(job)
    return job


class Stream:
    """A stream of a feed, read event by event."""

    def __init__(self, feed: EventFeed, *, start: str = "", owner: str | None = None) -> None:
        reader = feed.create_reader(owner, event_feed.TYPES, parse_position(start))
        endpoint = ENDPOINT.model_copy(update={"owner": owner})
        self._pieces: AsyncIterator[bytes] = event_feed._stream(feed, reader, endpoint, SETTINGS)

    async def next(self) -> dict[str, str]:
        async with asyncio.timeout(SECONDS):
            (event,) = parse((await anext(self._pieces)).decode())
        return event

    async def next_event(self) -> dict[str, str]:
        while "data" not in (event := await self.next()):
            pass
        return event

    async def rest(self) -> list[bytes]:
        async with asyncio.timeout(SECONDS):
            return [piece async for piece in self._pieces]


@pytest.fixture
async def feed(jobs: FakeJobs) -> AsyncIterator[EventFeed]:
    feed = EventFeed(jobs, poll_interval_seconds=0.01)
    async with run_in_background(feed.run()):
        yield feed


async def test_an_event_has_the_type_and_the_payload_of_webhooks(feed: EventFeed, jobs: FakeJobs) -> None:
    stream = Stream(feed)
    started = [await stream.next(), await stream.next()]
    job = await end(jobs, state=JobState.FAILED, metadata={"sku": "42"})

    event = await stream.next_event()

    assert started[0] == {"retry": "2000"}
    assert started[1].keys() == {"id"}, "who is cut off before the first event goes on here"
    payload = json.loads(event["data"])
    assert (event["event"], payload["type"], payload["data"]["metadata"]) == ("job.failed", "job.failed", {"sku": "42"})
    assert payload["data"]["task_id"] == job.id
    assert event["id"].partition(".")[2] == f"{job.id}-0-1-failed"


async def test_events_from_before_the_stream_are_not_sent(feed: EventFeed, jobs: FakeJobs) -> None:
    await end(jobs)
    stream = Stream(feed)
    await stream.next()
    await stream.next()
    later = await end(jobs)

    assert json.loads((await stream.next_event())["data"])["data"]["task_id"] == later.id


async def test_a_stream_goes_on_after_the_last_event(feed: EventFeed, jobs: FakeJobs) -> None:
    missed = await end(jobs, finished_ms=2000)

    event = await Stream(feed, start="1000.").next_event()

    assert event["id"] == f"2000.{missed.id}-0-1-done"


async def test_each_stream_gets_the_events_of_its_owner(feed: EventFeed, jobs: FakeJobs) -> None:
    streams = {owner: [Stream(feed, owner=owner) for _ in range(3)] for owner in ("ada", "zoe")}
    for stream in [*streams["ada"], *streams["zoe"]]:
        await stream.next()
        await stream.next()
    jobs_of = {owner: await end(jobs, owner=owner) for owner in streams}

    for owner, of_owner in streams.items():
        for stream in of_owner:
            assert json.loads((await stream.next_event())["data"])["data"]["task_id"] == jobs_of[owner].id


async def test_a_notification_is_enough_to_look(jobs: FakeJobs) -> None:
    feed = EventFeed(jobs, poll_interval_seconds=60)
    async with run_in_background(feed.run()):
        stream = Stream(feed)
        await stream.next()
        await stream.next()
        job = await end(jobs)
        waiting = asyncio.create_task(stream.next_event())
        await asyncio.sleep(0)

        feed.notify()

        assert json.loads((await waiting)["data"])["data"]["task_id"] == job.id


async def test_silence_is_filled_with_where_to_go_on(
    feed: EventFeed, jobs: FakeJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while others' types of events, or events that are not wanted, keep the stream busy."""
    monkeypatch.setattr(event_feed, "HEARTBEAT_SECONDS", 0.001)
    stream = Stream(feed)
    await stream.next()

    marks = []
    for _ in range(3):
        await end(jobs, owner="zoe")
        marks.append(await stream.next())

    positions = [parse_position(mark["id"]) for mark in marks]
    assert [mark.keys() for mark in marks] == [{"id"}] * 3
    assert all(position is not None and abs(position.ms - now_ms()) < 60_000 for position in positions)


async def test_a_gateway_that_stops_ends_its_streams(feed: EventFeed) -> None:
    stream = Stream(feed)
    await stream.next()
    await stream.next()

    feed.close()

    assert all(b"data" not in piece for piece in await stream.rest())


async def test_a_stream_that_begins_while_the_gateway_stops_ends_at_once(feed: EventFeed) -> None:
    feed.close()

    assert len(await Stream(feed).rest()) == 1


async def test_an_owner_without_a_stream_is_not_looked_for(feed: EventFeed) -> None:
    with feed.watch("ada"), feed.watch("ada"):
        watched = list(feed._topics)

    assert (watched, feed._topics) == (["ada"], {})


class AbsentJobs(FakeJobs):
    """Jobs of a database that is away."""

    async def find_ends(self, moment: Moment, *, owner: str | None, since_ms: int, limit: int) -> list[JobEnd]:
        raise AutoReconnect(f"10.0.0.7 has none: {moment}, {owner}, {since_ms}, {limit}")


async def test_a_stream_ends_when_the_database_is_away_so_that_the_client_comes_again() -> None:
    feed = EventFeed(AbsentJobs(), poll_interval_seconds=0.01)
    async with run_in_background(feed.run()):
        assert len(await Stream(feed).rest()) == 1


class OnceReadableJobs(FakeJobs):
    """Jobs of a database that goes away after the first look at their ends, which ends the stream."""

    def __init__(self) -> None:
        super().__init__()
        self._moments = set(Moment)

    async def find_ends(self, moment: Moment, *, owner: str | None, since_ms: int, limit: int) -> list[JobEnd]:
        if moment not in self._moments:
            raise AutoReconnect("10.0.0.7 has gone")
        self._moments.remove(moment)
        return await super().find_ends(moment, owner=owner, since_ms=since_ms, limit=limit)


class TestTheRoute:
    """`GET /events`."""

    @pytest.fixture
    def jobs(self, monkeypatch: pytest.MonkeyPatch) -> OnceReadableJobs:
        monkeypatch.setattr(event_feed, "HEARTBEAT_SECONDS", 0.001)
        return OnceReadableJobs()

    @pytest.fixture(scope="session")
    def app(self) -> FastAPI:
        """A gateway with keys, and with room for one stream."""
        keys = {owner: sha256(f"{owner}'s key".encode()).hexdigest() for owner in ("ada", "zoe")}
        http = HttpSettings(max_streams=1)
        return create_app(SETTINGS.model_copy(update={"api_keys": keys, "http": http}))

    @pytest.fixture
    async def http(self, app: FastAPI, jobs: FakeJobs, stores: FakeStores) -> AsyncIterator[httpx.AsyncClient]:
        """A client with Ada's key. Nothing but the stream looks at the jobs."""
        app.state.settings, app.state.stores, app.state.event_feed = SETTINGS, stores, EventFeed(jobs)
        transport, headers = httpx.ASGITransport(app), {"X-API-Key": "ada's key"}
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers) as client:
            yield client

    async def test_sends_events_of_the_wanted_types_and_the_callers_jobs(
        self, http: httpx.AsyncClient, jobs: FakeJobs
    ) -> None:
        states = (JobState.DONE, JobState.FAILED, JobState.DEAD)
        hers = [await end(jobs, state=state, finished_ms=2000, owner="ada") for state in states]
        await end(jobs, state=JobState.DEAD, finished_ms=2000, owner="zoe")

        answer = await http.get("/events?events=job.failed&events=job.dead&thin=true", headers=LAST)

        events = [event for event in parse(answer.text) if "data" in event]
        sent = {event["event"]: json.loads(event["data"])["data"] for event in events}
        assert {name: data["task_id"] for name, data in sent.items()} == {
            "job.failed": hers[1].id,
            "job.dead": hers[2].id,
        }
        assert "stages" not in sent["job.dead"]
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert (answer.headers["cache-control"], answer.headers["x-accel-buffering"]) == ("no-store", "no")

    @pytest.mark.parametrize("query", ["events=job.sold", "events=rendition.done", "thin=maybe"])
    async def test_refuses_what_there_is_not(self, http: httpx.AsyncClient, query: str) -> None:
        answer = await http.get(f"/events?{query}")

        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")

    async def test_ends_one_stream_too_many_early(self, http: httpx.AsyncClient, app: FastAPI) -> None:
        with app.state.streams.hold("another"):
            answer = await http.get("/events")

        assert (answer.status_code, parse(answer.text)) == (200, [{"retry": "2000"}])

    async def test_needs_a_key(self, http: httpx.AsyncClient) -> None:
        assert (await http.get("/events", headers={"X-API-Key": "nobody's key"})).status_code == 401

    async def test_a_head_of_it_ends_at_once(self, http: httpx.AsyncClient) -> None:
        answer = await http.head("/events")

        assert (answer.status_code, answer.content) == (200, b"")
