"""The background threads of a client of MongoDB: when they wake up, and when they do not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pymongo import MongoClient, common, periodic_executor

from storage.driver_threads import TIDY_SECONDS, SleepingExecutor, let_threads_sleep

HOUR, PATIENCE = 3600, 10.0  # seconds


class Target:
    """Counts its calls, and tells in which thread they are."""

    def __init__(self) -> None:
        self.calls = threading.Semaphore(0)
        self.native_id = 0
        self.goes_on = True
        self.during_call: Callable[[], object] = lambda: None

    def __call__(self) -> bool:
        self.native_id = threading.get_native_id()
        self.during_call()
        self.calls.release()
        return self.goes_on

    def is_called(self) -> bool:
        """Whether it is called soon."""
        return self.calls.acquire(timeout=PATIENCE)

    @property
    def wake_ups(self) -> int:
        """How often its thread has waited."""
        status = Path(f"/proc/self/task/{self.native_id}/status").read_text()
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith("voluntary_ctxt_switches")))


@pytest.fixture
def target() -> Target:
    return Target()


@pytest.fixture
def executor(target: Target) -> Iterator[SleepingExecutor]:
    executor = SleepingExecutor(HOUR, 0.01, target, "test")
    executor.open()
    assert target.is_called()
    yield executor
    executor.close()
    executor.join(int(PATIENCE))


def ends(executor: SleepingExecutor) -> bool:
    executor.join(int(PATIENCE))
    return not any(thread.name == "test" for thread in threading.enumerate())


@pytest.mark.usefixtures("executor")
def test_that_is_not_due_sleeps(target: Target) -> None:
    time.sleep(0.05)
    before = target.wake_ups
    time.sleep(0.2)  # pymongo's own would look twenty times
    assert target.wake_ups - before <= 1


def test_that_is_due_runs_again(target: Target) -> None:
    executor = SleepingExecutor(0.02, 0.01, target, "test")
    executor.open()
    assert all(target.is_called() for _ in range(3))
    executor.close()
    assert ends(executor)


def test_that_is_woken_runs_again(executor: SleepingExecutor, target: Target) -> None:
    for _ in range(3):
        executor.wake()
        assert target.is_called()


def test_that_is_woken_at_work_runs_once_more(target: Target) -> None:
    executor = SleepingExecutor(HOUR, 0.01, target, "test")
    wakes = [executor.wake] * 2
    target.during_call = lambda: wakes.pop()() if wakes else None
    executor.open()
    assert all(target.is_called() for _ in range(3))
    executor.close()
    assert ends(executor)


def test_that_is_woken_often_pauses_between_runs(target: Target) -> None:
    executor = SleepingExecutor(HOUR, 0.2, target, "test")
    target.during_call = executor.wake
    begin = time.monotonic()
    executor.open()
    assert all(target.is_called() for _ in range(3))
    assert time.monotonic() - begin >= 0.4
    executor.close()
    assert ends(executor)


def test_that_skips_its_sleep_runs_again(target: Target) -> None:
    executor = SleepingExecutor(HOUR, 0.01, target, "test")
    skips = [executor.skip_sleep]
    target.during_call = lambda: skips.pop()() if skips else None
    executor.open()
    assert target.is_called()
    assert target.is_called()
    executor.close()
    assert ends(executor)


def test_that_is_closed_ends_at_once_and_opens_again(executor: SleepingExecutor, target: Target) -> None:
    executor.close()
    assert ends(executor)
    executor.open()
    assert target.is_called()


def test_that_is_opened_while_its_thread_ends_runs_again(target: Target) -> None:
    is_ending, may_end = threading.Event(), threading.Event()

    class Ending(SleepingExecutor):
        def _should_stop(self) -> bool:
            stops = super()._should_stop()
            if stops:
                is_ending.set()
                may_end.wait(PATIENCE)
            return stops

    executor = Ending(HOUR, 0.01, target, "test")
    executor.open()
    assert target.is_called()
    executor.close()
    assert is_ending.wait(PATIENCE)
    opener = threading.Thread(target=executor.open, daemon=True)
    opener.start()
    opener.join(0.05)  # it waits for the thread by now
    may_end.set()
    assert target.is_called()
    executor.close()
    assert ends(executor)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("fails", [False, True])
def test_whose_target_wants_no_more_ends_and_opens_again(target: Target, *, fails: bool) -> None:
    def fail() -> None:
        raise ValueError

    executor = SleepingExecutor(HOUR, 0.01, target, "test")
    target.goes_on = False
    if fails:
        target.during_call = fail
    executor.open()
    assert ends(executor)
    target.goes_on, target.during_call = True, lambda: None
    while target.calls.acquire(blocking=False):
        pass
    executor.open()
    assert target.is_called()
    executor.close()
    assert ends(executor)


def test_clients_have_such_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common, "KILL_CURSOR_FREQUENCY", common.KILL_CURSOR_FREQUENCY)
    monkeypatch.setattr(periodic_executor, "PeriodicExecutor", periodic_executor.PeriodicExecutor)
    let_threads_sleep()
    with MongoClient[dict[str, object]]("mongodb://127.0.0.1:9") as client:
        assert isinstance(client._kill_cursors_executor, SleepingExecutor)
        assert client._kill_cursors_executor._interval == TIDY_SECONDS
