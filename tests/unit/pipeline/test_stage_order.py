"""The order of the stages, held against the canvas that runs them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery.canvas import Signature

from pipeline.canvas import build_canvas, operation, previews
from pipeline.routing import ROUTES
from pipeline.stage_order import StageOrder, next_stages, prerequisites, queue_of_stage, stage_order, stage_order_of
from storage.documents import Kind
from tests.support.fakes import new_job

NAMES = ("small", "medium", "large")
OPERATIONS = [Kind.CROP, Kind.GRAYSCALE, Kind.RESIZE, Kind.PROCESS]
STAGES = [name for step in stage_order(Kind.PREVIEWS, NAMES) for name in step]


def test_steps_are_those_of_the_canvas_in_its_order() -> None:
    canvas = previews(new_job(renditions=dict.fromkeys(NAMES, 100)))

    walked = tuple(tuple(_stage(task) for task in step) for step in _walk(canvas))

    assert walked == stage_order(Kind.PREVIEWS, NAMES)


def test_steps_of_a_single_rendition_are_those_of_the_canvas() -> None:
    canvas = previews(new_job(renditions={"only": 100}))

    walked = tuple(tuple(_stage(task) for task in step) for step in _walk(canvas))

    assert walked == stage_order(Kind.PREVIEWS, ["only"])


@pytest.mark.parametrize("kind", OPERATIONS)
def test_steps_of_an_operation_are_those_of_its_canvas(kind: Kind) -> None:
    walked = tuple(tuple(_stage(task) for task in step) for step in _walk(operation(new_job(kind))))

    assert walked == stage_order(kind)


@pytest.mark.parametrize("kind", list(Kind))
def test_steps_of_a_job_are_those_of_the_canvas_that_it_is_sent_with(kind: Kind) -> None:
    job = new_job(kind)

    walked = tuple(tuple(_stage(task) for task in step) for step in _walk(build_canvas(job)))

    assert walked == stage_order_of(job)


@pytest.mark.parametrize("kind", list(Kind))
def test_steps_of_a_job_hold_each_of_its_stages_once(kind: Kind) -> None:
    job = new_job(kind)

    assert [name for step in stage_order_of(job) for name in step] == list(job.stages)


@pytest.mark.parametrize("kind", OPERATIONS)
def test_an_operation_has_no_step_of_a_rendition(kind: Kind) -> None:
    assert stage_order(kind, NAMES) == stage_order(kind)


@pytest.mark.parametrize(
    ("stage", "needed", "following"),
    [
        ("validate", (), ("transform",)),
        ("transform", ("validate",), ("finalize",)),
        ("finalize", ("validate", "transform"), ()),
    ],
)
@pytest.mark.parametrize("kind", OPERATIONS)
def test_the_stages_of_an_operation_come_one_by_one(
    kind: Kind, stage: str, needed: tuple[str, ...], following: tuple[str, ...]
) -> None:
    order = stage_order(kind)

    assert (prerequisites(order, stage), next_stages(order, stage)) == (needed, following)


@pytest.mark.parametrize(("kind", "stage"), [(Kind.CROP, "normalize"), (Kind.CROP, "small"), (Kind.PREVIEWS, "huge")])
@pytest.mark.parametrize("question", [prerequisites, next_stages])
def test_a_stage_of_another_kind_has_no_place(
    question: Callable[[StageOrder, str], tuple[str, ...]], kind: Kind, stage: str
) -> None:
    with pytest.raises(ValueError, match=stage):
        question(stage_order(kind, NAMES), stage)


def test_a_transform_waits_in_a_queue_of_its_own() -> None:
    assert queue_of_stage("transform") == ROUTES["transform"]["queue"] == "transform"


def test_every_stage_waits_in_the_queue_that_its_task_is_routed_to() -> None:
    canvas = previews(new_job(renditions=dict.fromkeys(NAMES, 100)))

    routed = {_stage(task): ROUTES[str(task.task)]["queue"] for step in _walk(canvas) for task in step}

    assert {stage: queue_of_stage(stage) for stage in STAGES} == routed


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
    assert prerequisites(stage_order(Kind.PREVIEWS, NAMES), stage) == needed


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
    assert next_stages(stage_order(Kind.PREVIEWS, NAMES), stage) == following


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
