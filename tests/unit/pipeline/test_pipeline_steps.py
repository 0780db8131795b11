"""The order of the stages, held against the canvas that runs them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from celery.canvas import Signature

from pipeline.canvas import previews
from pipeline.celery import ROUTES
from pipeline.steps import after, before, queue_of, steps

NAMES = ("small", "medium", "large")
STAGES = [name for step in steps(NAMES) for name in step]


def test_steps_are_those_of_the_canvas_in_its_order() -> None:
    canvas = previews("job", NAMES, "job")

    walked = tuple(tuple(_stage(task) for task in step) for step in _walk(canvas))

    assert walked == steps(NAMES)


def test_steps_of_a_single_rendition_are_those_of_the_canvas() -> None:
    canvas = previews("job", ["only"], "job")

    walked = tuple(tuple(_stage(task) for task in step) for step in _walk(canvas))

    assert walked == steps(["only"])


def test_every_stage_waits_in_the_queue_that_its_task_is_routed_to() -> None:
    canvas = previews("job", NAMES, "job")

    routed = {_stage(task): ROUTES[str(task.task)]["queue"] for step in _walk(canvas) for task in step}

    assert {stage: queue_of(stage) for stage in STAGES} == routed


@pytest.mark.parametrize(
    ("stage", "needed"),
    [
        ("validate", ()),
        ("normalize", ("validate",)),
        ("small", ("validate", "normalize")),
        ("large", ("validate", "normalize")),
        ("finalize", ("validate", "normalize", "small", "medium", "large")),
    ],
)
def test_a_stage_comes_after_all_of_the_steps_before_it(stage: str, needed: tuple[str, ...]) -> None:
    assert before(steps(NAMES), stage) == needed


@pytest.mark.parametrize(
    ("stage", "following"),
    [
        ("validate", ("normalize",)),
        ("normalize", ("small", "medium", "large")),
        ("small", ("finalize",)),
        ("large", ("finalize",)),
        ("finalize", ()),
    ],
)
def test_a_stage_is_followed_by_the_next_step_alone(stage: str, following: tuple[str, ...]) -> None:
    assert after(steps(NAMES), stage) == following


def _walk(canvas: Any) -> Iterator[list[Signature[None]]]:
    """Yield the tasks of each step of a chain, a chord's header and its body as two steps."""
    for part in canvas.tasks:
        if "header" in part.kwargs:
            yield list(part.tasks)
            yield [part.body]
        elif "tasks" in part.kwargs:
            yield list(part.tasks)
        else:
            yield [part]


def _stage(task: Signature[None]) -> str:
    """Return the stage that a task's message stands for: the rendition where it names one."""
    return str(task.args[1]) if len(task.args) > 1 else str(task.task)
