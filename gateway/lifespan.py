"""Parts of the lifespan: background loops, and a callback on the stop signal."""

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
    """Run a loop in the background until the block ends."""
    task = asyncio.create_task(loop)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@contextmanager
def call_on_stop_signal(callback: Callable[[], None]) -> Iterator[None]:
    """Call `callback` as soon as the process gets a stop signal.

    The end of the lifespan is too late: the server first waits until every answer is complete, event streams included.
    The server's own signal handlers are called too.
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
        if callable(handler):  # handled, such as by uvicorn; replacing a default action would ignore the signal
            signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in previous_handlers.items():
            signal.signal(number, handler)
