"""The work of the stage fetch: get the original from an address or a bucket into the blob store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.stage_run import StageRun


def fetch_original(run: StageRun) -> Mapping[str, Any]:
    """Fetch the original and return its facts."""
    raise NotImplementedError
