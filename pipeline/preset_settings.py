"""Settings of presets: the file they are in, and the limits on what it may say."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from pipeline.settings_section import Count, SettingsSection


def _check_file(path: str) -> str:
    if "\0" in path or "://" in path:
        raise ValueError("should be the path of a file or a folder")
    return path


PresetsPath = Annotated[str, AfterValidator(_check_file)]
"""A `.toml` file, or a folder with some; empty: none."""


class PresetLimits(SettingsSection):
    """The limits on presets, and on the steps of `POST /process`."""

    presets: Count = Field(100, description="Presets in all files together, `default` included.")
    renditions: Count = Field(12, description="Renditions of a preset.")
    variants: Count = Field(12, description="Files of a rendition: its formats times its densities.")
    steps: Count = Field(10, description="Steps of a rendition, or of a request; a watermark is one of them.")
    rendition_pixels: Count = Field(
        100_000_000,
        description="Width x height of all files of a rendition together. An edge counts as a square, and so does a "
        "box without a width or a height.",
    )
    preset_pixels: Count = Field(200_000_000, description="Width x height of all files of a preset together.")
    asset_bytes: Count = Field(2 * 1024 * 1024, description="Bytes of an image file that a preset names.")
