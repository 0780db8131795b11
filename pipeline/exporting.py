"""The work of the stage export: put the renditions into the bucket that the preset names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.stage_run import StageRun


def export_renditions(run: StageRun) -> Mapping[str, Any]:
    """Put every file of every rendition into the bucket and return where it is."""
    raise NotImplementedError
