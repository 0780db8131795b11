"""The step `format` of a request: not a change of the image, but how it is encoded in the end."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from gateway.submission.colour import Colour
from pipeline.presets.steps import split_step
from stages.formats import parse_format

FORMAT = "format"


def _parse_format(value: object) -> object:
    return parse_format(value) if isinstance(value, str) else value


class FormatStep(BaseModel):
    """How the image is encoded. It can only be the last step."""

    model_config = ConfigDict(extra="forbid", strict=True)

    format: Annotated[Literal["auto", "jpeg", "png", "webp", "avif"], BeforeValidator(_parse_format)]
    quality: Annotated[int, Field(ge=1, le=100)] | None = None
    background: Colour | None = None

    @classmethod
    def read(cls, parameters: object) -> FormatStep:
        """Return the step of its parameters, or of the format alone. Raises pydantic's ValidationError."""
        return cls.model_validate(parameters if isinstance(parameters, dict) else {FORMAT: parameters})

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of the form that say the same."""
        return self.model_dump(exclude_none=True)


def read_format(written: object) -> FormatStep | None:
    """Return the step `format`, or None for another step, and for one that breaks a rule."""
    try:
        name, parameters = split_step(written)
        return FormatStep.read(parameters) if name == FORMAT else None
    except ValueError:
        return None
