"""The last stage: add up the renditions of a job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class RenditionFacts:
    """A stored file of a rendition: its size in pixels and bytes, and the sha-256 of its bytes in hex."""

    width: int
    height: int
    bytes: int
    sha256: str
    format: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """The number of renditions, the bytes of all their files, and these bytes divided by those of the original."""

    renditions: int
    bytes: int
    ratio: float


def finalize(*, original_bytes: int, renditions: Mapping[str, Sequence[RenditionFacts]]) -> Manifest:
    """Add up the files of the renditions.

    Raises ValueError if there is no rendition, or if the original has no bytes to compare with.
    """
    if not renditions:
        message = "a job without a rendition cannot be finalized"
        raise ValueError(message)
    if original_bytes < 1:
        message = "the original of a finalized job cannot be empty"
        raise ValueError(message)
    total = sum(file.bytes for files in renditions.values() for file in files)
    return Manifest(len(renditions), total, round(total / original_bytes, 4))
