"""Routing: the tasks, the queue of each, and the lanes of a queue. It imports no other module of the project."""

from __future__ import annotations

from typing import Any

FETCH = "fetch"
VALIDATE = "validate"
NORMALIZE = "normalize"
RESIZE = "resize"
TRANSFORM = "transform"
EXPORT = "export"
FINALIZE = "finalize"
NOTIFY = "notify"
QUEUES = (FETCH, VALIDATE, NORMALIZE, RESIZE, TRANSFORM, FINALIZE, NOTIFY)
"""Each queue has the name of its task. A stage has that name too, except a resize: it has its rendition's name."""
STAGE_NAMES = frozenset({FETCH, VALIDATE, NORMALIZE, TRANSFORM, EXPORT, FINALIZE, NOTIFY})
"""Names that no rendition can have: those of stages that are not called as their rendition, and of queues."""
OUTBOUND_QUEUES = (FETCH, NOTIFY)
"""The queues whose workers may reach other hosts than the stores."""
INNER_QUEUES = tuple(queue for queue in QUEUES if queue not in OUTBOUND_QUEUES)
"""All other queues."""
ERRBACK = "on_failed"
ROUTES = {task: {"queue": task} for task in QUEUES} | {EXPORT: {"queue": FETCH}, ERRBACK: {"queue": FINALIZE}}
"""The queue of each task, as Celery's `task_routes` wants it."""
LANE_SUFFIXES = {"express": "", "bulk": ".bulk"}
"""Suffix of a queue's name in each lane. A worker takes from the lanes in turn, so that neither starves the other."""


def lane_queue(queue: str, lane: str) -> str:
    """Return the name of a queue in a lane."""
    return queue + LANE_SUFFIXES[lane]


def lane_queues(queue: str) -> tuple[str, ...]:
    """Return the names of a queue in all lanes."""
    return tuple(queue + suffix for suffix in LANE_SUFFIXES.values())


STAGE_QUEUES = tuple(queue for queue in QUEUES if queue != NOTIFY)
"""The queues that jobs pass through."""
LANE_QUEUES = tuple(name for queue in QUEUES for name in lane_queues(queue))
"""All queues in all lanes."""


def consume_all_lanes(queues: Any) -> None:
    """Make a worker consume each of its queues in all lanes; `queues` is Celery's `app.amqp.queues`."""
    for queue in list(queues.consume_from):
        for name in lane_queues(queue):
            if name in queues:
                queues.select_add(name)
