"""What the tasks make of what a form took: no parameter is lost on its way, none is made up."""

from __future__ import annotations

from inspect import Parameter, signature

import pytest
from celery import Task
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from gateway.submission.forms import SOURCE_FIELDS, CropForm, GrayscaleForm, OutputForm, ProcessForm, ResizeForm
from pipeline import tasks
from pipeline.celery import app
from pipeline.operations import OPERATION_BY_KIND
from pipeline.routing import ROUTES
from pipeline.stage_run import INFRASTRUCTURE_ERRORS
from stages.errors import STAGE_ERRORS, StageError
from storage.documents import KINDS_WITH_RENDITIONS, Kind

FORMS: dict[Kind, type[OutputForm]] = {
    Kind.CROP: CropForm,
    Kind.GRAYSCALE: GrayscaleForm,
    Kind.RESIZE: ResizeForm,
    Kind.PROCESS: ProcessForm,
}
GIVEN = {Kind.PROCESS: {"limits", "assets"}}
"""What an operation takes that no form has; by default only the limits."""


def test_every_kind_without_renditions_is_an_operation() -> None:
    assert set(OPERATION_BY_KIND) == set(Kind) - set(KINDS_WITH_RENDITIONS)


@pytest.mark.parametrize("kind", list(OPERATION_BY_KIND))
def test_an_operation_takes_all_that_its_form_asks(kind: Kind) -> None:
    parameters = signature(OPERATION_BY_KIND[kind]).parameters.values()
    taken = {parameter.name for parameter in parameters if parameter.kind is Parameter.KEYWORD_ONLY}

    assert taken == set(FORMS[kind].model_fields) - set(SOURCE_FIELDS) | GIVEN.get(kind, {"limits"})


@pytest.mark.parametrize("kind", list(OPERATION_BY_KIND))
def test_an_operation_assumes_what_its_form_does(kind: Kind) -> None:
    optional = {name: field for name, field in FORMS[kind].model_fields.items() if not field.is_required()}
    fields = {name: field.default for name, field in optional.items() if name not in SOURCE_FIELDS}

    parameters = signature(OPERATION_BY_KIND[kind]).parameters
    assert {name: parameters[name].default for name in fields} == fields


def test_every_task_has_a_route() -> None:
    assert set(ROUTES) <= set(app.tasks)


@pytest.mark.parametrize("task", [tasks.validate, tasks.normalize, tasks.resize, tasks.transform, tasks.finalize])
def test_a_refused_image_is_no_crash(task: Task[..., None]) -> None:
    assert task.throws == (StageError,)


@pytest.mark.parametrize("error", [OSError, FileNotFoundError, TimeoutError, RedisConnectionError, RedisTimeoutError])
def test_an_outage_is_to_blame_on_the_infrastructure(error: type[Exception]) -> None:
    assert issubclass(error, INFRASTRUCTURE_ERRORS)


@pytest.mark.parametrize("error", [StageError, *STAGE_ERRORS.values(), ValueError, MemoryError, ZeroDivisionError])
def test_an_image_or_a_bug_is_not(error: type[Exception]) -> None:
    assert not issubclass(error, INFRASTRUCTURE_ERRORS)
