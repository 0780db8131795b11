"""Beside the requests: loops that run as long as the gateway does, and the signal that ends it."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from types import FrameType

STOPS = (signal.SIGTERM, signal.SIGINT)


@asynccontextmanager
async def running(loop: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Run a loop beside the requests until the block ends."""
    task = asyncio.create_task(loop)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@contextmanager
def calling_on_stop(callback: Callable[[], None]) -> Iterator[None]:
    """Call back as soon as the process is told to stop.

    The lifespan ends too late for that: the server first waits for every answer to be complete, endless ones too.
    Its own handlers of the signals are called as well.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop, former = asyncio.get_running_loop(), {number: signal.getsignal(number) for number in STOPS}

    def stop(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(callback)
        handler = former[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    for number, handler in former.items():
        if callable(handler):  # somebody, such as uvicorn, looks after it
            signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
