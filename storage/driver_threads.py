"""pymongo's background threads sleep until they are due. pymongo itself wakes up each of them twice a second.

Each client has two or three, and each process of a worker has a client: in an idle stack, most wake-ups were theirs.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import Any

from pymongo import common, periodic_executor

TIDY_SECONDS = 10
"""Between two looks of a client for cursors and connections that nobody uses any more; pymongo's own is 1."""


class SleepingExecutor(periodic_executor.PeriodicExecutor):
    """Calls its target each `interval` seconds, or when it is woken, but `min_interval` after the last call at least.

    It waits for a plain lock to be released, which is safe wherever pymongo wakes or closes it: also in a callback of
    the garbage collector, which may interrupt any line of any thread.
    """

    def __init__(self, interval: float, min_interval: float, target: Any, name: str | None = None) -> None:
        super().__init__(interval, min_interval, target, name)
        self._alarm = threading.Lock()
        self._alarm.acquire()

    def wake(self) -> None:
        """Call the target soon."""
        super().wake()
        self._ring()

    def close(self, dummy: Any = None) -> None:
        """End the thread, once its target has returned. `dummy` lets this be the callback of a weak reference."""
        super().close(dummy)
        self._ring()

    def _ring(self) -> None:
        with suppress(RuntimeError):  # it rings already
            self._alarm.release()

    def _run(self) -> None:
        try:
            while not self._should_stop() and self._target():
                if self._skip_sleep:
                    self._skip_sleep = False
                else:
                    self._sleep()
                self._event = False
        finally:
            if not self._thread_will_exit:  # else `open` may hold the lock already, and wait for the end of this thread
                with self._lock:
                    self._stopped = self._thread_will_exit = True

    def _sleep(self) -> None:
        begin = time.monotonic()
        self._alarm.acquire(timeout=self._interval)
        rest = begin + self._min_interval - time.monotonic()
        if rest > 0 and not self._stopped:
            time.sleep(rest)


def let_threads_sleep() -> None:
    """Have the clients of this process, from now on, wake up no more often than they need."""
    common.KILL_CURSOR_FREQUENCY = TIDY_SECONDS
    periodic_executor.PeriodicExecutor = SleepingExecutor  # type: ignore[misc]  # its own subclass
