"""The destination of a preset: the bucket that its results are also put into, and under which keys."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from pipeline.presets.key_template import find_mistakes

MAX_TEMPLATE = 500
DESTINATION_NAME = r"^[a-z][a-z0-9_-]{0,31}$"
CACHE_CONTROL = r"^[!-~]+( [!-~]+)*$"


def _check_name(name: str) -> str:
    if not re.fullmatch(DESTINATION_NAME, name):
        raise ValueError(
            "The name of a destination is a small letter, and then at most 31 small letters, digits, - and _."
        )
    return name


def _check_key(template: str) -> str:
    if mistakes := list(find_mistakes(template)):
        raise ValueError(" ".join(mistakes))
    return template


def _check_cache_control(value: str) -> str:
    if not re.fullmatch(CACHE_CONTROL, value):
        raise ValueError("It should be the value of a header, in ASCII: public, max-age=31536000, immutable.")
    return value


class DestinationDefinition(BaseModel):
    """Where the results of a preset are also put, before the job is done."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, AfterValidator(_check_name)] = Field(
        description="One of the destinations in the settings of the gateway.",
        examples=["shop"],
        json_schema_extra={"pattern": DESTINATION_NAME},
    )
    key: Annotated[str, AfterValidator(_check_key)] = Field(
        max_length=MAX_TEMPLATE,
        description="The key of each object, with placeholders such as `{metadata.sku}`, `{rendition}` and `{ext}`.",
        examples=["{metadata.sku}/{rendition}{dpr}.{ext}"],
        json_schema_extra={"minLength": 1},
    )
    cache_control: Annotated[str, AfterValidator(_check_cache_control)] | None = Field(
        None,
        max_length=200,
        description="The header `Cache-Control` of the objects; none without it.",
        examples=["public, max-age=3600"],
    )
