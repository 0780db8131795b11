"""Parts of the lifespan: background loops, and a callback on the stop signal."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from types import FrameType

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
CANCEL_AGAIN_SECONDS = 3.0  # longer than a command to Redis takes, with which a loop may end


@asynccontextmanager
async def run_in_background(loop: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Run a loop in the background until the block ends.

    It is cancelled until it has ended: `asyncio.wait_for` in Python 3.11, with which redis-py sends each command, loses
    a cancellation that comes just when it is done.
    """
    task = asyncio.create_task(loop)
    try:
        yield
    finally:
        with suppress(asyncio.CancelledError):
            while not task.done():
                task.cancel()
                await asyncio.wait([task], timeout=CANCEL_AGAIN_SECONDS)
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
