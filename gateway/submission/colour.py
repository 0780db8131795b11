"""A colour as requests write it, in a form and in the step `format`."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from stages.background import BACKGROUND_PATTERN, parse_background


def _parse_colour(value: str) -> str:
    try:
        return parse_background(value)
    except ValueError:
        raise ValueError(
            "The value must be an opaque colour, such as #ff8800, orange or rgb(255, 136, 0); or transparent."
        ) from None


Colour = Annotated[str, AfterValidator(_parse_colour), Field(json_schema_extra={"pattern": BACKGROUND_PATTERN})]
