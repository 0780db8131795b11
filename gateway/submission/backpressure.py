"""Backpressure: refuse new jobs while a queue is full, before the body is read."""

from __future__ import annotations

from time import monotonic

from fastapi import Request

from gateway.problems import RETRY_AFTER_SECONDS, Overloaded
from pipeline.broker.transport import BROKER_ERRORS
from pipeline.queues.queues import Queues

REFRESH_SECONDS = 0.5


class Backlog:
    """The length of the longest queue, read at most every REFRESH_SECONDS."""

    def __init__(self) -> None:
        self._longest = 0
        self._refresh_at = 0.0

    async def read_longest(self, queues: Queues) -> int:
        """Return the length. It is 0 without a broker: jobs are accepted then, and wait in their documents."""
        if monotonic() >= self._refresh_at:
            self._refresh_at = monotonic() + REFRESH_SECONDS
            try:
                self._longest = await queues.read_max_queue_length()
            except BROKER_ERRORS:
                self._longest = 0
        return self._longest


async def shed_load(request: Request) -> None:
    """Raise `Overloaded` while a queue is full. A dependency of the routes that create jobs."""
    state = request.app.state
    backlog: Backlog = state.backlog
    waiting = await backlog.read_longest(state.queues)
    if waiting >= state.settings.access.max_queue:
        detail = (
            f"The queues are full: {waiting} messages wait in one of them. "
            "Send the request again after the time in Retry-After."
        )
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        raise Overloaded(detail, headers=headers)
