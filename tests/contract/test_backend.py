"""The result backend on a real Redis: nobody subscribes, and no part of a chord is lost to an outage."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import pytest
from celery import chord
from celery.app.task import Context
from celery.backends.redis import RedisBackend
from celery.canvas import Signature
from redis import Redis

from pipeline import tasks
from pipeline.backend import PipelineBackend
from pipeline.canvas import publish_canvas
from pipeline.celery import app
from pipeline.settings import Settings
from stages.errors import ImageCorrupt
from tests.support.fakes import new_job

CHORD = "celery-taskset-meta-group"
OUTAGE = 2  # connections that fail


def test_publishing_a_job_subscribes_to_nothing(redis: Redis) -> None:
    publish_canvas(new_job())

    assert redis.pubsub_channels("celery-task-meta-*") == []


def test_starting_a_chord_subscribes_to_nothing(redis: Redis) -> None:
    chord([tasks.resize.si("job", name) for name in ("small", "large")], tasks.finalize.si("job")).apply_async()

    assert redis.pubsub_channels("celery-task-meta-*") == []


@pytest.mark.usefixtures("redis")
def test_a_result_that_is_added_is_not_waited_for() -> None:
    backend: Any = app.backend
    result = app.AsyncResult("task")

    backend.add_pending_results([backend.add_pending_result(result)])

    assert backend.result_consumer._pubsub is None


def test_a_part_that_ends_in_an_outage_is_counted(redis: Redis, settings: Settings, outage: Outage) -> None:
    backend = PipelineBackend(app=app, url=outage.url)
    app.backend.set_chord_size("group", 2)

    backend.on_chord_part_return(part(0), "SUCCESS", None)

    with Redis.from_url(settings.result_backend_url) as results:
        assert (results.zcard("celery-taskset-meta-group.j"), redis.llen("finalize")) == (1, 0)


def test_an_outage_at_the_last_part_does_not_lose_the_chord(redis: Redis, outage: Outage) -> None:
    app.backend.set_chord_size("group", 2)
    app.backend.on_chord_part_return(part(0), "SUCCESS", None)
    backend = PipelineBackend(app=app, url=outage.url)

    backend.on_chord_part_return(part(1), "SUCCESS", None)

    assert redis.llen("finalize") == 1


def test_a_part_counted_twice_does_not_start_the_body(redis: Redis) -> None:
    app.backend.set_chord_size("group", 2)

    for _ in range(2):
        app.backend.on_chord_part_return(part(0), "SUCCESS", None)

    assert redis.llen("finalize") == 0


def test_a_part_that_ended_its_worker_before_it_sent_the_body_sends_it_when_it_is_delivered_again(
    redis: Redis, settings: Settings
) -> None:
    app.backend.set_chord_size("group", 1)
    app.backend.on_chord_part_return(part(0), "SUCCESS", None)
    with Redis.from_url(settings.result_backend_url) as results:  # as the part leaves it that has only claimed the body
        results.set(f"{CHORD}.c", "part-0")
        results.set(f"{CHORD}.s", 1)

    app.backend.on_chord_part_return(part(0), "SUCCESS", None)

    assert redis.llen("finalize") == 2


def test_a_part_that_comes_after_the_body_was_sent_changes_nothing(redis: Redis, settings: Settings) -> None:
    app.backend.set_chord_size("group", 1)

    for _ in range(2):
        app.backend.on_chord_part_return(part(0), "SUCCESS", None)

    with Redis.from_url(settings.result_backend_url) as results:
        assert (redis.llen("finalize"), results.keys(f"{CHORD}*")) == (1, [f"{CHORD}.c".encode()])


@pytest.mark.filterwarnings("ignore:Call to deprecated setex")  # by Celery, for the result of the body
def test_a_part_that_has_failed_sends_the_errback_in_place_of_the_body(redis: Redis) -> None:
    app.backend.set_chord_size("group", 2)
    body = tasks.finalize.si("job").on_error(tasks.on_failed.s("job"))

    app.backend.on_chord_part_return(part(0, body), "FAILURE", ImageCorrupt())
    app.backend.on_chord_part_return(part(1, body), "SUCCESS", None)

    assert [json.loads(entry)["headers"]["task"] for entry in redis.lrange("finalize", 0, -1)] == ["on_failed"]


@pytest.mark.parametrize("is_first", [True, False])
def test_a_part_that_an_older_version_counts_is_one_of_the_same_chord(redis: Redis, is_first: bool) -> None:
    older: Any = RedisBackend(app=app, url=app.conf.result_backend.partition("+")[2])
    counting = [older, app.backend] if is_first else [app.backend, older]
    counting[1].set_chord_size("group", 2)

    for index, backend in enumerate(counting):
        backend.on_chord_part_return(part(index), "SUCCESS", None)

    assert redis.llen("finalize") == 1


def part(index: int, body: Signature[Any] | None = None) -> Context:
    """Return the request of one part of a chord of two."""
    return Context(id=f"part-{index}", group="group", group_index=index, chord=body or tasks.finalize.si("job"))


class Outage:
    """A way to Redis on a port of its own: the first connections are cut at once, the others go through."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname or "127.0.0.1", parts.port or 6379)
        self._cut = OUTAGE
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = parts._replace(netloc=f"127.0.0.1:{self._listener.getsockname()[1]}").geturl()

    @property
    def over(self) -> bool:
        return self._cut == 0

    def run(self) -> None:
        """Take connections until the listener is shut."""
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                if self.over:
                    threading.Thread(target=self._join, args=(near,), daemon=True).start()
                else:
                    near.close()
                    self._cut -= 1

    def shut(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _join(self, near: socket.socket) -> None:
        with near, socket.create_connection(self._target) as far:
            back = threading.Thread(target=_pass_on, args=(far, near), daemon=True)
            back.start()
            _pass_on(near, far)
            back.join()


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while chunk := source.recv(65_536):
            sink.sendall(chunk)
        sink.shutdown(socket.SHUT_WR)


@pytest.fixture
def outage(settings: Settings) -> Iterator[Outage]:
    outage = Outage(settings.result_backend_url)
    thread = threading.Thread(target=outage.run, daemon=True)
    thread.start()
    yield outage
    outage.shut()
    thread.join()
    assert outage.over
