"""Presets for the tests, put in force without a file."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from pipeline.presets.definition import PresetDefinition
from pipeline.presets.preset import Preset
from pipeline.presets.registry import Presets

PRODUCT = {
    "fields": ["background", "quality"],
    "renditions": {
        "card": {"width": 400, "height": 400, "fit": "cover", "formats": ["avif", "jpeg"], "quality": {"avif": 55}},
        "thumb": {"edge": 80},
    },
}
ICONS = {"fields": ["animated", "format"], "renditions": {"icon": {"edge": 32}}}
BANNER = {"fields": ["animated"], "renditions": {"wide": {"width": 900, "height": 200, "fit": "cover"}}}
DEFINITIONS: dict[str, Any] = {"product": PRODUCT, "icons": ICONS, "banner": BANNER}
EDGES = {"small": 160, "medium": 640, "large": 1600}


def build_presets(**definitions: Any) -> Presets:
    """Return the preset `default`, and one for each definition; by default those of this module."""
    presets = Presets(EDGES)
    for name, definition in (definitions or DEFINITIONS).items():
        presets._presets[name] = Preset(name, PresetDefinition.model_validate(definition))
    return presets


def use_presets(app: FastAPI, **definitions: Any) -> FastAPI:
    """Put presets in force in a gateway, and return it."""
    app.state.presets = build_presets(**definitions)
    return app
