"""Capabilities: the current limits and formats, which clients can read before they send a file."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pydantic import BaseModel, Field

from gateway.dependencies import PermissionDep, PresetsDep, SettingsDep
from gateway.openapi.numbers import Positive, Seconds
from gateway.routing import Router
from stages.errors import STAGE_ERRORS, default_message
from stages.formats import ACCEPTED_FORMATS, DEFAULT_QUALITY, MEDIA_TYPES, OUTPUT_FORMATS
from stages.steps.table import STEPS

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
    renditions: dict[str, Positive] = Field(
        description="The renditions of the preset `default`, with the longest side of each in pixels."
    )
    presets: list[str] = Field(description="The presets that you may use; `/presets` says what they are.")
    preset_limits: dict[str, Positive] = Field(
        description="The limits on presets. `steps` is the limit of a request with steps, too."
    )
    steps: list[str] = Field(description="The names of steps; `/schemas/preset.json` has their parameters.")
    operations: list[str]
    result_seconds: Seconds = Field(description="How long results are kept, in seconds.")
    idempotency_seconds: Seconds = Field(description="How long an Idempotency-Key is remembered, in seconds.")
    refusals: dict[str, str] = Field(
        description="Every code that a job can fail with because of its image, or of where it is, with its meaning."
    )


@router.get("/capabilities", summary="Get limits and formats", operation_id="get_capabilities")
async def capabilities(settings: SettingsDep, presets: PresetsDep, permission: PermissionDep) -> Capabilities:
    """Return the limits and formats that are in force."""
    limits: dict[str, Any] = asdict(settings.limits)
    renditions = presets.get().definition.renditions
    return Capabilities(
        limits=limits,
        accepts={name: MEDIA_TYPES[name] for name in ACCEPTED_FORMATS},
        formats=list(OUTPUT_FORMATS),
        default_quality=DEFAULT_QUALITY,
        renditions={name: each.spec().longest_side for name, each in renditions.items()},
        presets=[preset.name for preset in permission.list_presets(presets)],
        preset_limits=settings.preset_limits.model_dump(),
        steps=list(STEPS),
        operations=["crop", "grayscale", "resize", "process"],
        result_seconds=settings.retention.results,
        idempotency_seconds=settings.retention.idempotency_keys,
        refusals={code: default_message(error) for code, error in STAGE_ERRORS.items()},
    )
