"""The gateway returns the memory that uploads left free in its heap once it is idle."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from pipeline.idle_memory import return_free_memory

IDLE_SHARE = 0.05  # of a core; background loops need less


class IdleMemory:
    """Compares the gateway's processor time between two calls; under load, the next upload needs the memory again."""

    def __init__(self, return_memory: Callable[[], None] = return_free_memory) -> None:
        self._return_memory = return_memory
        self._cpu, self._time = time.process_time(), time.monotonic()
        self._is_returned = False

    async def return_when_idle(self) -> None:
        """Return free memory if the gateway was idle since the last call, once until it is busy again."""
        cpu, now = time.process_time(), time.monotonic()
        is_idle = cpu - self._cpu < IDLE_SHARE * (now - self._time)
        self._cpu, self._time = cpu, now
        if is_idle and not self._is_returned:
            await asyncio.to_thread(self._return_memory)
        self._is_returned = is_idle
