"""The canonical forms of a preset and of a rendition: what makes the same results has the same one."""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic import TypeAdapter

from pipeline.presets.definition import PresetDefinition, RenditionDefinition
from stages.steps.step import Step
from stages.steps.table import STEPS

NOT_OF_RESULTS = {"description", "fields"}
"""What a preset says that changes no result."""


def canonical_form(definition: PresetDefinition) -> dict[str, Any]:
    """Return the definition without its defaults, as JSON: how a value is written makes no difference."""
    form = definition.model_dump(mode="json", exclude_defaults=True, exclude=NOT_OF_RESULTS)
    return form | {"renditions": {name: _canonical(each) for name, each in definition.renditions.items()}}


def _canonical(rendition: RenditionDefinition) -> dict[str, Any]:
    form = rendition.model_dump(mode="json", exclude_defaults=True, exclude={"steps", "watermark", "dpr"})
    if not rendition.quality:
        form.pop("quality", None)
    spec = rendition.spec()
    return form | {"dpr": [float(density) for density in spec.dpr], "steps": list(map(write_step, spec.steps))}


def stored_form(rendition: RenditionDefinition) -> dict[str, Any]:
    """Return a rendition as a job stores it: with its defaults, and each value in one way to write it.

    So jobs of one version of a preset are equal, however its file wrote it then. A watermark that is the last step is
    the rendition's watermark.
    """
    spec = rendition.spec()
    steps = list(map(write_step, spec.steps))
    form = rendition.model_dump(mode="json", exclude_none=True, exclude={"steps", "watermark", "dpr"})
    mark = steps.pop() if steps and "watermark" in steps[-1] else {}
    return form | {"dpr": [float(density) for density in spec.dpr], "steps": steps} | mark


def write_step(step: Step) -> dict[str, Any]:
    """Return the one way to write a step: `{"blur": {"radius": 2.0}}`, without parameters that have their defaults."""
    name = next(name for name, known in STEPS.items() if isinstance(step, known))
    return {name: _adapter(type(step)).dump_python(step, mode="json", exclude_defaults=True)}


@cache
def _adapter(step: type[Step]) -> TypeAdapter[Step]:
    return TypeAdapter(step)
