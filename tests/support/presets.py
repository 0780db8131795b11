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
STRIPS: dict[str, Any] = {"fields": ["animated", "format"], "renditions": {"strip": {"edge": 32, "formats": ["webp"]}}}
BANNER = {"renditions": {"wide": {"width": 900, "height": 200, "fit": "cover"}}}
DEFINITIONS: dict[str, Any] = {"product": PRODUCT, "icons": ICONS, "banner": BANNER}
SHOP = {
    "destination": {"name": "shop", "key": "{metadata.sku}/{rendition}{dpr}.{ext}", "cache_control": "max-age=60"},
    "renditions": {"thumb": {"edge": 80}},
}
"""A preset with a destination, whose keys need metadata."""
EDGES = {"small": 160, "medium": 640, "large": 1600}


def build_presets(*, assets: dict[str, str] | None = None, **definitions: Any) -> Presets:
    """Return the preset `default`, and one for each definition; by default those of this module.

    `assets` are the digests of the image files that each of them names, by name.
    """
    presets = Presets(EDGES)
    presets.put_in_force(
        {
            name: Preset(name, PresetDefinition.model_validate(definition), assets or {})
            for name, definition in (definitions or DEFINITIONS).items()
        }
    )
    return presets


def use_presets(app: FastAPI, *, assets: dict[str, str] | None = None, **definitions: Any) -> FastAPI:
    """Put presets in force in a gateway, and return it."""
    app.state.presets = build_presets(assets=assets, **definitions)
    return app
