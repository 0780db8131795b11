"""Server-sent events over fakes: what is sent, with which ids, and when the stream ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi.sse import KEEPALIVE_COMMENT
from pymongo.errors import AutoReconnect

from gateway.feed import Feed
from gateway.routes import events
from storage.documents import Job, JobState
from tests.support.fakes import FakeJobs, FakeQueues, new_job

ENDED = [JobState.DONE, JobState.FAILED, JobState.DEAD, JobState.CANCELLED]
SECONDS = 5.0


@pytest.fixture
async def job(jobs: FakeJobs) -> Job:
    job = new_job()
    await jobs.insert(job)
    return job


@pytest.fixture
def feed(jobs: FakeJobs, queues: FakeQueues) -> Feed:
    """A feed that nobody runs: what it is told comes from the test."""
    return Feed(jobs, queues)


def parse(text: str) -> list[dict[str, str]]:
    """Return the fields of each event (the HTML standard's "event stream interpretation"), comments as ``."""
    blocks = [block for block in text.split("\n\n") if block]
    return [dict(_field(line) for line in block.split("\n")) for block in blocks]


def _field(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name, value.removeprefix(" ")


async def next_event(stream: AsyncIterator[bytes]) -> dict[str, str]:
    async with asyncio.timeout(SECONDS):
        (event,) = parse((await anext(stream)).decode())
    return event


@pytest.mark.parametrize("state", ENDED)
async def test_a_job_that_has_ended_is_sent_once_and_that_is_all(
    http: httpx.AsyncClient, jobs: FakeJobs, state: JobState
) -> None:
    job = new_job(state=state, version=7)
    await jobs.insert(job)

    answer = await http.get(f"/task-status/{job.id}/events")

    retry, event = parse(answer.text)
    assert retry == {"retry": str(events.RETRY_MS)}
    assert (event["event"], event["id"]) == ("job", "7")
    assert json.loads(event["data"]) == (await http.get(f"/task-status/{job.id}")).json()


async def test_an_event_stream_is_not_cached_and_not_buffered(http: httpx.AsyncClient, jobs: FakeJobs) -> None:
    job = new_job(state=JobState.DONE)
    await jobs.insert(job)

    headers = (await http.get(f"/task-status/{job.id}/events")).headers

    assert headers["content-type"].startswith("text/event-stream")
    assert (headers["cache-control"], headers["x-accel-buffering"]) == ("no-store", "no")


async def test_nothing_comes_after_the_last_event(http: httpx.AsyncClient, jobs: FakeJobs) -> None:
    job = new_job(state=JobState.DONE, version=7)
    await jobs.insert(job)

    answer = await http.get(f"/task-status/{job.id}/events", headers={"Last-Event-ID": "7"})

    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize("last", ["6", "garbage", "-1", "²"])
async def test_what_is_newer_than_the_last_event_comes(http: httpx.AsyncClient, jobs: FakeJobs, last: str) -> None:
    job = new_job(state=JobState.DONE, version=7)
    await jobs.insert(job)

    answer = await http.get(f"/task-status/{job.id}/events", headers={b"Last-Event-ID": last.encode()})

    assert parse(answer.text)[1]["id"] == "7"


async def test_an_unknown_job_has_no_events(http: httpx.AsyncClient) -> None:
    answer = await http.get("/task-status/nobody/events")

    assert (answer.status_code, answer.json()["code"]) == (404, "job_not_found")


async def test_each_change_is_an_event_until_the_job_has_ended(
    http: httpx.AsyncClient, jobs: FakeJobs, job: Job
) -> None:
    async def change() -> None:
        taken = await jobs.redispatch(job, next_dispatch_ms=1)
        assert taken is not None
        await jobs.cancel(taken)

    answer, _ = await asyncio.gather(http.get(f"/task-status/{job.id}/events"), change())

    last = parse(answer.text)[-1]
    assert (last["id"], json.loads(last["data"])["status"]) == ("2", "cancelled")


async def test_a_hint_has_the_job_read_at_once(jobs: FakeJobs, queues: FakeQueues, job: Job) -> None:
    feed = Feed(jobs, queues, poll_interval_seconds=60)
    loop = asyncio.create_task(feed.run())
    stream = events._stream_events(feed, job, None, root_path="")
    seen = [await next_event(stream), await next_event(stream)]

    await jobs.cancel(job)
    await queues.ends.put(job.id)
    seen.append(await next_event(stream))

    loop.cancel()
    assert [event.get("id") for event in seen] == [None, "0", "1"]


async def test_the_end_of_every_job_is_passed_on(jobs: FakeJobs, queues: FakeQueues) -> None:
    ended = asyncio.Queue[str]()
    feed = Feed(jobs, queues, on_end=ended.put_nowait)
    loop = asyncio.create_task(feed.run())

    await queues.ends.put("unwatched")

    async with asyncio.timeout(SECONDS):
        while await ended.get() != "unwatched":
            pass
    loop.cancel()


async def test_who_waits_for_the_end_is_not_told_of_what_comes_before(
    jobs: FakeJobs, queues: FakeQueues, job: Job
) -> None:
    feed = Feed(jobs, queues, poll_interval_seconds=60)
    loop = asyncio.create_task(feed.run())
    with feed.watch(job, end_only=True) as topic:
        waiting = asyncio.create_task(topic.wait_for_newer(job.version, SECONDS))
        taken = await jobs.redispatch(job, next_dispatch_ms=1)
        assert taken is not None
        await queues.changes.put(job.id)
        await jobs.cancel(taken)
        await queues.ends.put(job.id)

        news = await waiting

    loop.cancel()
    assert news is not None
    assert news.version == 2


async def test_changes_are_heard_only_while_somebody_wants_each(jobs: FakeJobs, queues: FakeQueues, job: Job) -> None:
    feed = Feed(jobs, queues, poll_interval_seconds=60)
    loop = asyncio.create_task(feed.run())
    with feed.watch(job, end_only=True):
        await queues.changes.put("unheard")
        await asyncio.sleep(0)
        waiting = queues.changes.qsize()
        with feed.watch(job):
            async with asyncio.timeout(SECONDS):
                while queues.changes.qsize():  # noqa: ASYNC110  # the queue tells nobody
                    await asyncio.sleep(0)

    loop.cancel()
    assert waiting == 1


async def test_a_stream_learns_of_what_changed_before_it_was_heard(
    jobs: FakeJobs, queues: FakeQueues, job: Job
) -> None:
    feed = Feed(jobs, queues, poll_interval_seconds=60)
    stream = events._stream_events(feed, job, None, root_path="")
    seen = [await next_event(stream), await next_event(stream)]
    await jobs.cancel(job)

    loop = asyncio.create_task(feed.run())
    seen.append(await next_event(stream))

    loop.cancel()
    assert [event.get("id") for event in seen] == [None, "0", "1"]


async def test_a_job_that_nobody_watches_is_not_read(jobs: FakeJobs, queues: FakeQueues, job: Job) -> None:
    feed = Feed(jobs, queues)

    with feed.watch(job):
        watched = feed.watched_count

    assert (watched, feed.watched_count) == (1, 0)


async def test_silence_is_filled_with_comments(feed: Feed, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.01)
    stream = events._stream_events(feed, job, job.version, root_path="")

    received = [await next_event(stream) for _ in range(3)]

    assert [list(event) for event in received] == [["retry"], [""], [""]]


async def test_a_gateway_that_stops_ends_its_streams(feed: Feed, job: Job) -> None:
    stream = events._stream_events(feed, job, job.version, root_path="")
    await next_event(stream)
    waiting = asyncio.create_task(anext(stream, b""))
    await asyncio.sleep(0)

    feed.close()

    async with asyncio.timeout(SECONDS):
        assert await waiting in {b"", KEEPALIVE_COMMENT}
        assert [chunk async for chunk in stream] == []


async def test_a_stream_that_begins_while_the_gateway_stops_ends_at_once(feed: Feed, job: Job) -> None:
    feed.close()

    async with asyncio.timeout(SECONDS):
        assert len([chunk async for chunk in events._stream_events(feed, job, None, root_path="")]) == 1


async def test_all_who_watch_a_job_hear_of_its_change(jobs: FakeJobs, queues: FakeQueues, job: Job) -> None:
    feed = Feed(jobs, queues)
    loop = asyncio.create_task(feed.run())
    streams = [events._stream_events(feed, job, job.version, root_path="") for _ in range(50)]
    for stream in streams:
        await next_event(stream)
    heard = asyncio.gather(*(next_event(stream) for stream in streams))
    await asyncio.sleep(0)

    await jobs.cancel(job)
    await queues.ends.put(job.id)

    assert {event["id"] for event in await heard} == {"1"}
    loop.cancel()


async def test_a_job_that_is_removed_ends_its_streams(jobs: FakeJobs, queues: FakeQueues, job: Job) -> None:
    feed = Feed(jobs, queues, poll_interval_seconds=0.01)
    loop = asyncio.create_task(feed.run())
    stream = events._stream_events(feed, job, job.version, root_path="")
    await next_event(stream)

    await jobs.cancel(job)
    await jobs.remove(job.id)

    async with asyncio.timeout(SECONDS):
        assert len([chunk async for chunk in stream]) <= 1
    loop.cancel()


class AbsentJobs(FakeJobs):
    """Jobs of a database that is away."""

    async def get(self, job_id: str, *, owner: str | None = None, token_id: str | None = None) -> Job:
        raise AutoReconnect(f"10.0.0.7 has none of {job_id}, {owner}, {token_id}")


class TestADatabaseThatIsAway:
    """When a stream is opened."""

    @pytest.fixture
    def jobs(self) -> AbsentJobs:
        return AbsentJobs()

    async def test_ends_the_stream_early_so_that_event_source_opens_it_again(self, http: httpx.AsyncClient) -> None:
        answer = await http.get("/task-status/any/events")

        assert (answer.status_code, parse(answer.text)) == (200, [{"retry": "2000"}])
        assert answer.headers["content-type"].startswith("text/event-stream")
