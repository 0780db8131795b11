"""A timer that calls back once, unless it is stopped before."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Timer:
    """Calls back some time after its latest start."""

    def __init__(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], object]) -> None:
        self._loop = loop
        self._callback = callback
        self._handle: asyncio.TimerHandle | None = None

    @property
    def is_running(self) -> bool:
        """Whether it will call back."""
        return self._handle is not None

    def start(self, seconds: float) -> None:
        """Call back after this time."""
        self.stop()
        self._handle = self._loop.call_later(seconds, self._call)

    def stop(self) -> None:
        """Do not call back."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _call(self) -> None:
        self._handle = None
        self._callback()
