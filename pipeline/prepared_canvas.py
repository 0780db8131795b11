"""A prepared canvas: Celery prepares a canvas once, and the messages of all jobs with the same one are made of that."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from os import urandom
from typing import Any
from uuid import UUID

from celery import Task
from celery.canvas import Signature

MAX_KEPT = 128
"""Canvases that a process keeps: about one for each preset and lane."""
JOB_ID = "00000000-0000-7000-8000-6a6f625f6964"
"""The id of the job that a canvas is prepared with. No job has it: its time is that of the epoch."""


class PreparedCanvas:
    """The chain of a canvas, prepared as Celery does it before it publishes the first task.

    Celery clones each signature, gives it an id and adds the errback, which takes longer than to send the message.
    """

    def __init__(self, chain: Any) -> None:
        """Prepare a chain whose tasks have the argument JOB_ID. Its first task has the id of that job."""
        steps, _ = chain.prepare_steps(
            chain.args, chain.kwargs, chain.tasks, link_error=chain.options.get("link_error"), app=chain.app
        )
        first = steps.pop()
        first.options.pop("task_id")
        self._task: Task[Any, Any] = first.type
        self._text = json.dumps({"args": first.args, **first.options, "chain": steps})
        self._message_ids = sorted({*_ids_of(json.loads(self._text))})

    def publish(self, job_id: str, *, root_id: str) -> None:
        """Publish the canvas for a job, with new ids for all messages. Raises kombu's `OperationalError`."""
        text = self._text.replace(JOB_ID, json.dumps(job_id)[1:-1])
        random_bytes = urandom(16 * len(self._message_ids))  # at once: each call may lose the interpreter to a thread
        for number, message_id in enumerate(self._message_ids):
            text = text.replace(message_id, str(UUID(bytes=random_bytes[16 * number :][:16], version=4)))
        options = json.loads(text)
        self._task.apply_async(tuple(options.pop("args")), task_id=root_id, retry=False, **options)


class PreparedCanvases:
    """The canvases that were last prepared, by what tells them apart."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, PreparedCanvas] = OrderedDict()

    def get(self, shape: Hashable, build: Callable[[], Signature[None]]) -> PreparedCanvas:
        """Return the canvas of a shape, which `build` builds if it is not kept."""
        canvas = self._kept.get(shape)
        if canvas is None:
            canvas = self._kept[shape] = PreparedCanvas(build())
            while len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
        return canvas


def _ids_of(prepared: Any) -> Iterator[str]:
    """Yield the id of each message in a prepared chain; a chord and its group have the same."""
    if isinstance(prepared, list):
        for each in prepared:
            yield from _ids_of(each)
    elif isinstance(prepared, dict):
        for name, value in prepared.items():
            if name == "task_id":
                yield value
            else:
                yield from _ids_of(value)
