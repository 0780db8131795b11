"""Lanes: each queue has a twin for work that can wait, so that a burst or a huge photo holds up nobody else's."""

from __future__ import annotations

from typing import Any

from storage.documents import Lane

BULK_SUFFIX = ".bulk"


def lane_of(queue: str, lane: str) -> str:
    """Return the queue, or its twin. A worker takes from the two by turns, so neither can starve the other."""
    return queue + BULK_SUFFIX if lane == Lane.BULK else queue


def lanes_of(queue: str) -> tuple[str, ...]:
    """Return the queue and its twin."""
    return tuple(lane_of(queue, lane) for lane in Lane)


def take_from_all(queues: Any) -> None:
    """Have a worker that takes from a queue take from its twin too; `queues` are Celery's."""
    for name in list(queues.consume_from):
        for twin in lanes_of(name):
            if twin in queues:
                queues.select_add(twin)
