"""Which colour space an original states: by its ICC profile, or by what its format has for it."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from PIL import ImageCms

from stages.bmp.colours import bmp_profile
from stages.colour.space import MAX_PROFILE_BYTES, SRGB, ColourSpace
from stages.heif.colours import heif_colour_space
from stages.png.colours import png_colour_space

if TYPE_CHECKING:
    from PIL import Image

_MAX_NAME = 64
_GREY_MODES = frozenset({"1", "L", "LA", "I", "F"})
_UNSTATED = {"CMYK": ColourSpace("CMYK", "none"), "LAB": ColourSpace("Lab", "none")}


def read_colour_space(image: Image.Image, format: str, content: bytes) -> ColourSpace:  # noqa: A002  the API's own word
    """Return the colours of an image whose header is read. What is damaged or fits other channels is ignored.

    `content` is the file that was opened.
    """
    profile = bmp_profile(content) if format == "bmp" else image.info.get("icc_profile")
    stated = _describe_profile(profile, image.mode)
    if format == "png":
        stated = png_colour_space(content, stated)
    if format in ("avif", "heic"):
        stated = stated or heif_colour_space(content)
    return stated or _UNSTATED.get(image.mode, SRGB)


def _describe_profile(content: object, mode: str) -> ColourSpace | None:
    if not isinstance(content, bytes) or not 0 < len(content) <= MAX_PROFILE_BYTES:
        return None
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(content)).profile
        space, description = profile.xcolor_space.strip(), profile.profile_description or ""
    except (OSError, TypeError, ValueError):
        return None
    if space not in _profile_spaces(mode):
        return None
    name = "".join(filter(str.isprintable, description))[:_MAX_NAME].strip()
    return ColourSpace(name or "ICC profile", "icc", content)


def _profile_spaces(mode: str) -> tuple[str, ...]:
    """Return the colour spaces of profiles that fit the pixels of a mode: ICC.1:2022, table 19."""
    if mode in ("CMYK", "LAB"):
        return ("CMYK",) if mode == "CMYK" else ()
    return ("GRAY", "RGB") if mode in _GREY_MODES or mode.startswith("I;16") else ("RGB",)
