"""What an original states of its colours: the name of their space, where that is stated, and a profile of it."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from PIL import ImageCms

if TYPE_CHECKING:
    from PIL import Image

MAX_PROFILE_BYTES = 4 * 1024 * 1024  # the largest press profiles have 2.7 MB
_MAX_NAME = 64
_GREY_MODES = frozenset({"1", "L", "LA", "I", "F"})


@dataclass(frozen=True, slots=True)
class ColourSpace:
    """The colours of an image: `source` says where it states them.

    `name` is the description of its ICC profile, or the usual name of the space. `icc` is a profile that converts it
    to sRGB, embedded or built; without one, the image is sRGB, or CMYK or Lab without a profile.
    """

    name: str
    source: Literal["icc", "cicp", "gama", "none"]
    icc: bytes | None = None


SRGB = ColourSpace("sRGB", "none")


def read_colour_space(image: Image.Image) -> ColourSpace:
    """Return the colours of an image whose header is read; what is damaged or fits other channels is ignored."""
    return _embedded_profile(image) or _unstated(image.mode)


def _embedded_profile(image: Image.Image) -> ColourSpace | None:
    content = image.info.get("icc_profile")
    if not isinstance(content, bytes) or not 0 < len(content) <= MAX_PROFILE_BYTES:
        return None
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(content)).profile
        space, description = profile.xcolor_space.strip(), profile.profile_description or ""
    except (OSError, TypeError, ValueError):
        return None
    if space not in _profile_spaces(image.mode):
        return None
    name = "".join(filter(str.isprintable, description))[:_MAX_NAME].strip()
    return ColourSpace(name or "ICC profile", "icc", content)


def _profile_spaces(mode: str) -> tuple[str, ...]:
    """Return the colour spaces of profiles that fit the pixels of a mode: ICC.1:2022, table 19."""
    if mode in ("CMYK", "LAB"):
        return ("CMYK",) if mode == "CMYK" else ()
    return ("GRAY", "RGB") if mode in _GREY_MODES or mode.startswith("I;16") else ("RGB",)


def _unstated(mode: str) -> ColourSpace:
    return ColourSpace({"CMYK": "CMYK", "LAB": "Lab"}[mode], "none") if mode in ("CMYK", "LAB") else SRGB
