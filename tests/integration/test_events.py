"""Events of a running stack: a stream follows its job through every stage, and ends with it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx

from deploy.local.stack import Stack
from tests.integration.api_helpers import submit_operation, submit_photo, wait_for_end, wait_until
from tests.support.images import encode_image, photo

STAGES = {"validate", "normalize", "small", "medium", "large", "finalize"}


def follow(client: httpx.Client, task_id: str, last: str | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield id and content of each event until the stream ends."""
    headers = {"Last-Event-ID": last} if last else {}
    with client.stream("GET", f"/task-status/{task_id}/events", headers=headers, timeout=30) as answer:
        assert answer.status_code == 200, answer.read()
        fields: dict[str, str] = {}
        for line in answer.iter_lines():
            name, _, value = line.partition(": ")
            if line:
                fields[name] = value
            elif "data" in fields:
                yield fields["id"], json.loads(fields["data"])
                fields = {}


def test_a_stream_shows_the_stages_go_by_and_ends_with_the_job(client: httpx.Client, stack: Stack) -> None:
    held = {"normalize": {"validate"}, "finalize": {"small", "medium", "large"}}  # what must be done before they run
    for process in held:
        stack.stop_process(process)
    events = []
    try:
        for event in follow(client, submit_photo(client, encode_image(photo(2400, 1600), "jpeg"))):
            events.append(event)
            finished = {name for name, stage in event[1]["stages"].items() if stage["state"] == "done"}
            for process, before in list(held.items()):
                if before <= finished:
                    stack.start_process(process, wait=False)
                    del held[process]
    finally:
        for process in held:
            stack.start_process(process, wait=False)

    versions = [int(event_id) for event_id, _ in events]
    done = [sum(stage["state"] == "done" for stage in job["stages"].values()) for _, job in events]
    assert versions == sorted(set(versions))
    assert done == sorted(done)
    assert {1, len(STAGES) - 1, len(STAGES)} <= set(done), "what was held back was shown"
    assert all(job["status"] in {"accepted", "processing"} for _, job in events[:-1])
    assert (events[-1][1]["status"], set(events[-1][1]["stages"])) == ("done", STAGES)


def test_a_stream_taken_up_again_goes_on_after_the_last_event(client: httpx.Client, stack: Stack) -> None:
    stack.stop_process("finalize")
    try:
        task_id = submit_photo(client, encode_image(photo(), "jpeg"))
        first = next(follow(client, task_id))
        wait_until(lambda: client.get(f"/task-status/{task_id}").json()["progress"] > 0.5, "most stages to be done")
    finally:
        stack.start_process("finalize", wait=False)

    rest = list(follow(client, task_id, last=first[0]))

    assert int(rest[0][0]) > int(first[0])
    assert rest[-1][1]["status"] == "done"
    ended_with = rest[-1][0]
    again = client.get(f"/task-status/{task_id}/events", headers={"Last-Event-ID": ended_with})
    assert again.status_code == 204


def test_a_refused_image_ends_its_stream_with_the_reason(client: httpx.Client) -> None:
    *_, (_, job) = follow(client, submit_photo(client, encode_image(photo(900, 600), "jpeg")[:20_000]))

    assert (job["status"], job["failure"]["code"]) == ("failed", "image_truncated")


def test_an_operation_is_followed_too(client: httpx.Client) -> None:
    *_, (_, job) = follow(client, submit_operation(client, "grayscale", encode_image(photo(), "jpeg")))

    assert set(job["stages"]) == {"validate", "transform", "finalize"}


def test_a_gateway_that_stops_lets_its_streams_go(client: httpx.Client, stack: Stack) -> None:
    stack.stop_process("normalize")
    try:
        task_id = submit_photo(client, encode_image(photo(), "jpeg"))
        events: list[str] = []

        def read() -> None:
            for event_id, _ in follow(client, task_id):
                events.append(event_id)
            events.append("ended")  # not cut off: that raises

        reader = threading.Thread(target=read)
        reader.start()
        wait_until(lambda: bool(events), "the first event")

        stack.restart_process("gateway")
        reader.join(timeout=20)
    finally:
        stack.start_process("normalize")

    assert events[-1] == "ended"
    assert wait_for_end(client, task_id)["status"] == "done"


def test_a_long_poll_comes_back_with_the_end(client: httpx.Client) -> None:
    task_id = submit_photo(client, encode_image(photo(), "jpeg"))

    job = client.get(f"/task-status/{task_id}", params={"wait": 25}).json()

    assert job["status"] == "done"
