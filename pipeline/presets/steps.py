"""Steps as they are written: a name, or a name with its parameters, in a preset file and in requests."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any

from pydantic import BeforeValidator, TypeAdapter
from pydantic_core import to_json

from stages.steps.step import Step
from stages.steps.table import STEPS


def read_step(written: object) -> Step:
    """Return the step of `"grayscale"`, `{"blur": 2}` or `{"blur": {"radius": 2}}`.

    Raises ValueError for no such step; its subclass, pydantic's ValidationError, has each broken rule of parameters.
    """
    name, parameters = split_step(written)
    if name not in STEPS:
        raise ValueError(f"There is no step {name!r}. Use one of: {', '.join(STEPS)}.")
    if not isinstance(parameters, dict):
        if not STEPS[name].SHORT:
            raise ValueError(f"The step {name} takes its parameters by their names only: {{'{name}': {{...}}}}.")
        parameters = {STEPS[name].SHORT: parameters}
    # As JSON: of Python's own values, the strict mode takes only the finished step.
    return _adapter(name).validate_json(to_json(parameters, fallback=str))


@cache
def _adapter(name: str) -> TypeAdapter[Step]:
    return TypeAdapter(STEPS[name])


def needs_no_parameters(name: str) -> bool:
    """Whether a step can be written as its name alone."""
    try:
        read_step(name)
    except ValueError:
        return False
    return True


def split_step(written: object) -> tuple[str, Any]:
    """Return the name of a step, and its parameters as they are written. Raises ValueError."""
    if isinstance(written, str):
        return written, {}
    if not isinstance(written, dict) or len(written) != 1:
        raise ValueError("A step is its name, or an object with its name and its parameters: {'blur': 2}.")
    ((name, parameters),) = written.items()
    return str(name), parameters


def _check(written: object) -> object:
    read_step(written)
    return written


StepDefinition = Annotated[str | dict[str, Any], BeforeValidator(_check)]
"""A step as it is written."""
