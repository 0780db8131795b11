"""Capabilities: what is told is what is in force."""

from __future__ import annotations

from typing import Any, get_args

import httpx
import pytest
from fastapi import FastAPI

from gateway.submission.forms import Format
from pipeline.presets.registry import Presets
from pipeline.settings import RetentionSettings, Settings
from stages.errors import STAGE_ERRORS
from stages.formats import MEDIA_TYPES
from stages.limits import Limits

CHANGES = {
    "limits": Limits(upload_bytes=1, pixels=2, animation_pixels=3, frames=4, side=5),
    "renditions": {"tiny": 16, "huge": 4000},
    "retention": RetentionSettings(results=100, idempotency_keys=200),
}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update=CHANGES)


@pytest.fixture(autouse=True)
def presets(app: FastAPI, monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    monkeypatch.setattr(app.state, "presets", Presets(settings.renditions))


@pytest.fixture
async def told(http: httpx.AsyncClient) -> dict[str, Any]:
    capabilities: dict[str, Any] = (await http.get("/capabilities")).json()
    return capabilities


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limits", {"upload_bytes": 1, "pixels": 2, "animation_pixels": 3, "frames": 4, "side": 5}),
        ("renditions", {"tiny": 16, "huge": 4000}),
        ("result_seconds", 100),
        ("idempotency_seconds", 200),
    ],
)
async def test_what_the_settings_say_is_told(told: dict[str, Any], name: str, value: object) -> None:
    assert told[name] == value


async def test_the_formats_told_are_those_that_a_form_takes(told: dict[str, Any]) -> None:
    assert told["formats"] == list(get_args(Format))


async def test_the_formats_that_are_accepted_have_their_media_types(told: dict[str, Any]) -> None:
    assert told["accepts"].items() <= MEDIA_TYPES.items()


@pytest.mark.parametrize("name", ["jpeg", "png", "gif", "webp", "tiff", "bmp", "avif"])
async def test_the_usual_formats_are_accepted(told: dict[str, Any], name: str) -> None:
    assert name in told["accepts"]


async def test_the_operations_told_are_routes(told: dict[str, Any], app: FastAPI) -> None:
    paths = app.openapi()["paths"]

    assert [name for name in told["operations"] if "post" not in paths[f"/{name}"]] == []


async def test_every_format_with_a_quality_has_its_default(told: dict[str, Any]) -> None:
    assert set(told["default_quality"]) == {"jpeg", "webp", "avif"}


async def test_every_refusal_is_told_with_its_sentence(told: dict[str, Any]) -> None:
    assert set(told["refusals"]) == set(STAGE_ERRORS)
    assert all(sentence.endswith(".") for sentence in told["refusals"].values())
