"""What an original states of its colours: the name of their space, where that is stated, and how to convert them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from stages.colour.hdr import HdrSignal

MAX_PROFILE_BYTES = 4 * 1024 * 1024  # the largest press profiles have 2.7 MB; a larger one is ignored


@dataclass(frozen=True, slots=True)
class ColourSpace:
    """The colours of an image: `source` says where it states them.

    `name` is the description of its ICC profile, or the usual name of the space. `icc` is a profile that converts it
    to sRGB, embedded or built; `hdr` is what to tone-map instead. With neither, the image is sRGB, or CMYK or Lab
    without a profile.
    """

    name: str
    source: Literal["icc", "cicp", "gama", "none"]
    icc: bytes | None = None
    hdr: HdrSignal | None = None


SRGB = ColourSpace("sRGB", "none")
