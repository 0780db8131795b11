"""The pool of a worker: a message goes to an idle child at once, and each is run once."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import closing
from time import monotonic
from typing import Any

import pytest
from billiard.exceptions import WorkerLostError
from kombu.asynchronous import Hub, set_event_loop

from pipeline.broker import direct_pool
from pipeline.broker.direct_pool import WritingAtOnce
from pipeline.celery import configure
from tests.support.fakes import FakeBroker


class LoopingPool:
    """A pool with an event loop of its own."""

    def __init__(self, *, children: int, messages_per_child: int | None = None) -> None:
        self.hub: Any = Hub()
        set_event_loop(self.hub)
        self.pool: Any = WritingAtOnce(
            children, maxtasksperchild=messages_per_child, threads=False, putlocks=False, sched_strategy="fair"
        )
        self.pool.register_with_event_loop(self.hub)
        self.results: list[Any] = []
        self._loop = self.hub.create_loop()
        self.run_until(lambda: len(self.pool._all_inqueues) == children)

    def send(self, function: Any, *arguments: object) -> None:
        take: Any = self.results.append
        self.pool.apply_async(function, arguments, callback=take, error_callback=take)

    def run_until(self, condition: Any) -> None:
        """Run the loop until it is so; AssertionError when that takes too long."""
        end = monotonic() + 20
        while not condition():
            assert monotonic() < end
            try:
                next(self._loop)
            except StopIteration:
                self._loop = self.hub.create_loop()

    def take_results(self, count: int) -> list[Any]:
        self.run_until(lambda: len(self.results) >= count)
        results, self.results[:] = list(self.results), []
        return results

    def close(self) -> None:
        self.pool.terminate()
        self.pool.join()
        self.hub.close()
        set_event_loop(None)


@pytest.fixture(scope="module")
def pool() -> Iterator[LoopingPool]:
    with closing(LoopingPool(children=2)) as pool:
        yield pool


def test_a_message_is_with_an_idle_child_before_the_next_round_of_the_loop(pool: LoopingPool) -> None:
    pool.send(abs, -1)

    (job,) = pool.pool._cache.values()
    assert job._write_to in pool.pool._pool
    assert not pool.pool.outbound_buffer
    assert pool.take_results(1) == [1]


@pytest.mark.parametrize("size", [1, 3000, 5000, 200_000])
def test_messages_of_all_sizes_arrive_whole(pool: LoopingPool, size: int) -> None:
    for number in range(4):
        pool.send(len, b"x" * (size + number))

    assert sorted(pool.take_results(4)) == [size, size + 1, size + 2, size + 3]


def test_a_child_that_is_replaced_leaves_its_next_message_to_the_next_child() -> None:
    with closing(LoopingPool(children=1, messages_per_child=1)) as pool:
        for _ in range(3):
            pool.send(os.getpid)

        assert len(set(pool.take_results(3))) == 3


def test_a_lost_child_is_noticed_without_a_look_at_all_children() -> None:
    with closing(LoopingPool(children=1)) as pool:
        pool.hub.timer.clear()  # Celery's look every 5 s
        pool.send(os._exit, 9)
        pool.send(abs, -1)

        lost, result = pool.take_results(2)
    assert isinstance(lost.exception.exc, WorkerLostError)
    assert result == 1


@pytest.mark.parametrize("size", [1, 500_000], ids=["whole", "partly written"])
def test_a_message_that_is_with_a_child_is_run_though_the_worker_stops(size: int) -> None:
    with closing(LoopingPool(children=1)) as pool:
        pool.send(len, b"x" * size)
        pool.send(abs, -1)  # waits for the child

        pool.pool.flush()

        assert [job._accepted for job in pool.pool._cache.values()] == [True]
        assert pool.take_results(1) == [size]
        pool.send(abs, -2)
        assert pool.take_results(1) == [2]


def test_a_pool_that_stops_reads_the_result_of_the_last_message() -> None:
    with closing(LoopingPool(children=1)) as pool:
        pool.send(abs, -1)

        pool.pool.flush()
        pool.pool.close()
        pool.pool.join()

        assert pool.results == [1]


def test_a_frozen_child_does_not_hold_up_a_worker_that_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(direct_pool, "ACCEPT_SECONDS", 0.2)
    with closing(LoopingPool(children=1)) as pool:
        (child,) = pool.pool._pool
        os.kill(child.pid, signal.SIGSTOP)
        pool.send(abs, -1)

        pool.pool.flush()

        os.kill(child.pid, signal.SIGCONT)
        assert not pool.pool._cache


def test_workers_use_it() -> None:
    assert configure(FakeBroker.settings).conf.worker_pool == f"{WritingAtOnce.__module__}:DirectPool"
