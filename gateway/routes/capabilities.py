"""Capabilities: the current limits and formats, which clients can read before they send a file."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pydantic import BaseModel, Field

from gateway.dependencies import SettingsDep
from gateway.openapi.numbers import Positive, Seconds
from gateway.routing import Router
from stages.errors import STAGE_ERRORS, default_message
from stages.formats import ACCEPTED_FORMATS, DEFAULT_QUALITY, MEDIA_TYPES, OUTPUT_FORMATS

router = Router(tags=["capabilities"])


class Capabilities(BaseModel):
    """What this Darkroom accepts and produces."""

    limits: dict[str, Positive] = Field(
        description="The largest accepted original: bytes, pixels, and the longest side in pixels; for animated "
        "previews also its frames, and their pixels together."
    )
    accepts: dict[str, str] = Field(description="The accepted formats, with their media types.")
    formats: list[str] = Field(description="The values that `format` can have.")
    default_quality: dict[str, Positive] = Field(description="The quality of each format if the request gives none.")
    renditions: dict[str, Positive] = Field(description="The previews, with the long edge of each in pixels.")
    operations: list[str]
    result_seconds: Seconds = Field(description="How long results are kept, in seconds.")
    idempotency_seconds: Seconds = Field(description="How long an Idempotency-Key is remembered, in seconds.")
    refusals: dict[str, str] = Field(
        description="Every code that a job can fail with because of its image, with its meaning."
    )


@router.get("/capabilities", summary="Get limits and formats", operation_id="get_capabilities")
async def capabilities(settings: SettingsDep) -> Capabilities:
    """Return the limits and formats that are in force."""
    limits: dict[str, Any] = asdict(settings.limits)
    return Capabilities(
        limits=limits,
        accepts={name: MEDIA_TYPES[name] for name in ACCEPTED_FORMATS},
        formats=list(OUTPUT_FORMATS),
        default_quality=DEFAULT_QUALITY,
        renditions=settings.renditions,
        operations=["crop", "grayscale", "resize"],
        result_seconds=settings.retention.results,
        idempotency_seconds=settings.retention.idempotency_keys,
        refusals={code: default_message(error) for code, error in STAGE_ERRORS.items()},
    )
