"""POST /upload, /crop, /grayscale and /resize: answered 202 with a task_id, and the right canvas is sent."""

from __future__ import annotations

from typing import Any, cast
from unittest.mock import AsyncMock, MagicMock

import httpx
import pytest
from celery.canvas import Signature
from kombu.exceptions import OperationalError
from pymongo.errors import AutoReconnect

from storage.documents import JobState, Kind
from tests.support.fakes import new_job
from tests.support.images import encode_image, photo

PHOTO = encode_image(photo(), "jpeg")
RENDITIONS = ["small", "medium", "large"]
PREVIEWS = ["validate", "normalize", *["resize"] * 3, "finalize"]
OPERATION = ["validate", "transform", "finalize"]
POSTS: dict[str, tuple[dict[str, str], Kind, list[str]]] = {
    "/upload": ({}, Kind.PREVIEWS, PREVIEWS),
    "/crop": ({"aspect": "1:1"}, Kind.CROP, OPERATION),
    "/grayscale": ({}, Kind.GRAYSCALE, OPERATION),
    "/resize": ({"width": "40"}, Kind.RESIZE, OPERATION),
}
every_post = pytest.mark.parametrize("path", POSTS)


async def post(http: httpx.AsyncClient, path: str, **fields: str) -> httpx.Response:
    return await http.post(path, files={"file": ("cat.jpg", PHOTO)}, data=POSTS[path][0] | fields)


def tasks_of(canvas: Any) -> list[Signature[Any]]:
    """Return the signatures of a canvas in the order they run, a chord's header before its body."""
    if hasattr(canvas, "body"):
        return [*(task for each in canvas.tasks for task in tasks_of(each)), *tasks_of(canvas.body)]
    inside = getattr(canvas, "tasks", None)
    return [task for each in inside for task in tasks_of(each)] if inside else [canvas]


def sent(apply_async: MagicMock) -> Any:
    apply_async.assert_called_once()
    return apply_async.call_args.args[0]


@every_post
async def test_a_post_is_accepted(http: httpx.AsyncClient, path: str, jobs: MagicMock) -> None:
    answer = await post(http, path)

    assert (answer.status_code, answer.json()["status"]) == (202, "accepted")
    assert answer.headers["location"] == f"/task-status/{answer.json()['task_id']}"
    assert jobs.insert.await_args.args[0].id == answer.json()["task_id"]


@every_post
async def test_a_job_is_noted_down_as_what_was_asked_for(http: httpx.AsyncClient, path: str, jobs: MagicMock) -> None:
    await post(http, path)

    job = jobs.insert.await_args.args[0]
    assert (job.kind, job.state, job.original.name) == (POSTS[path][1], JobState.ACCEPTED, "cat.jpg")


@every_post
async def test_the_canvas_has_the_stages_of_its_kind(
    http: httpx.AsyncClient, path: str, apply_async: MagicMock
) -> None:
    await post(http, path)

    assert [task.task for task in tasks_of(sent(apply_async))] == POSTS[path][2]


@every_post
async def test_the_first_task_has_the_id_that_was_answered(
    http: httpx.AsyncClient, path: str, apply_async: MagicMock
) -> None:
    task_id = (await post(http, path)).json()["task_id"]

    tasks = tasks_of(sent(apply_async))
    assert tasks[0].options["task_id"] == task_id
    assert {task.args[0] for task in tasks} == {task_id}


async def test_an_upload_asks_for_each_rendition_once(http: httpx.AsyncClient, apply_async: MagicMock) -> None:
    await post(http, "/upload")

    tasks = tasks_of(sent(apply_async))
    assert [task.args[1] for task in tasks if task.task == "resize"] == RENDITIONS


@every_post
async def test_messages_carry_no_pixels(http: httpx.AsyncClient, path: str, apply_async: MagicMock) -> None:
    await post(http, path)

    assert len(repr(sent(apply_async))) < 1000


@every_post
async def test_a_failure_anywhere_in_the_canvas_is_told_to_the_job(
    http: httpx.AsyncClient, path: str, apply_async: MagicMock
) -> None:
    task_id = (await post(http, path)).json()["task_id"]

    errbacks = sent(apply_async).options["link_error"]
    assert [(errback.task, tuple(errback.args)) for errback in errbacks] == [("on_failed", (task_id,))]


@every_post
async def test_publishing_does_not_wait_for_a_broker_that_is_away(
    http: httpx.AsyncClient, path: str, apply_async: MagicMock
) -> None:
    await post(http, path)

    assert apply_async.call_args.kwargs == {"retry": False}


async def test_the_bytes_are_stored_before_the_job_is(
    http: httpx.AsyncClient, blob_writer: AsyncMock, blobs: MagicMock, jobs: MagicMock, apply_async: MagicMock
) -> None:
    order = MagicMock()
    order.attach_mock(blobs.writer.return_value.__aexit__, "store")
    order.attach_mock(jobs.insert, "accept")
    order.attach_mock(apply_async, "publish")

    await post(http, "/upload")

    assert b"".join(call.args[0] for call in blob_writer.write.await_args_list) == PHOTO
    assert [cast("Any", call)[0] for call in order.mock_calls] == ["store", "accept", "publish"]


async def test_a_job_of_an_earlier_image_copies_it(http: httpx.AsyncClient, jobs: MagicMock, blobs: MagicMock) -> None:
    source = new_job()
    jobs.get.return_value = source

    answer = await http.post("/grayscale", files={"source_task_id": (None, source.id)})

    assert answer.status_code == 202
    assert blobs.copy.call_args.args == (source.original.blob, f"{answer.json()['task_id']}/original")


async def test_without_a_broker_a_job_is_accepted_and_left_to_the_sweeper(
    http: httpx.AsyncClient, jobs: MagicMock, apply_async: MagicMock
) -> None:
    apply_async.side_effect = OperationalError("Error 111 connecting to redis-7.internal:6379")

    answer = await post(http, "/upload")

    assert answer.status_code == 202
    jobs.schedule_dispatch.assert_awaited_once_with(answer.json()["task_id"])


async def test_without_a_database_nothing_is_accepted_or_sent(
    http: httpx.AsyncClient, jobs: MagicMock, apply_async: MagicMock
) -> None:
    jobs.insert.side_effect = AutoReconnect("mongo-3.internal:27017: connection refused")

    answer = await post(http, "/upload")

    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert "retry-after" in answer.headers
    apply_async.assert_not_called()


async def test_with_full_queues_nothing_is_accepted(
    http: httpx.AsyncClient, queues: MagicMock, jobs: MagicMock, apply_async: MagicMock
) -> None:
    queues.read_max_queue_length.return_value = 10_000

    answer = await post(http, "/upload")

    assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
    jobs.insert.assert_not_awaited()
    apply_async.assert_not_called()


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [(b"", 422, "empty_file"), (b"GET / HTTP/1.1", 415, "unsupported_format")],
    ids=["empty", "no image"],
)
async def test_what_is_no_image_makes_no_job(
    http: httpx.AsyncClient, jobs: MagicMock, blobs: MagicMock, content: bytes, status: int, code: str
) -> None:
    answer = await http.post("/upload", files={"file": ("cat.jpg", content)})

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    jobs.insert.assert_not_awaited()
    blobs.remove_folder.assert_called_once()
