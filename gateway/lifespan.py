"""Beside the requests: loops that run as long as the gateway does, and the signal that ends it."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from types import FrameType

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@asynccontextmanager
async def run_in_background(loop: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Run a loop beside the requests until the block ends."""
    task = asyncio.create_task(loop)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@contextmanager
def call_on_stop_signal(callback: Callable[[], None]) -> Iterator[None]:
    """Call back as soon as the process is told to stop.

    The lifespan ends too late for that: the server first waits for every answer to be complete, endless ones too.
    Its own handlers of the signals are called as well.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop, previous_handlers = asyncio.get_running_loop(), {number: signal.getsignal(number) for number in STOP_SIGNALS}

    def stop(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(callback)
        handler = previous_handlers[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    for number, handler in previous_handlers.items():
        if callable(handler):  # somebody, such as uvicorn, looks after it
            signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in previous_handlers.items():
            signal.signal(number, handler)
