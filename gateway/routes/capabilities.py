"""Capabilities: the live limits and formats, for clients to ask before they send."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from gateway.dependencies import SettingsDep
from stages.errors import STAGE_ERRORS, default_message
from stages.formats import ACCEPTED_FORMATS, DEFAULT_QUALITY, MEDIA_TYPES, OUTPUT_FORMATS

router = APIRouter(tags=["capabilities"])


class Capabilities(BaseModel):
    """What this Darkroom takes and gives."""

    limits: dict[str, int] = Field(description="Bytes, pixels, frames and the longest side in pixels.")
    accepts: dict[str, str] = Field(description="Media type of each format that may be sent.")
    formats: list[str] = Field(description="What may be asked for as `format`.")
    default_quality: dict[str, int]
    renditions: dict[str, int] = Field(description="Long edge in pixels of each preview.")
    operations: list[str]
    result_seconds: float = Field(description="How long results are kept.")
    idempotency_seconds: float = Field(description="How long an Idempotency-Key is remembered.")
    refusals: dict[str, str] = Field(description="Every code a job may fail with because of its image.")


@router.get("/capabilities")
async def capabilities(settings: SettingsDep) -> Capabilities:
    """Tell the limits and formats in force."""
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
