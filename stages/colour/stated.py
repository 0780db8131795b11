"""Which colour space an original states: by its ICC profile, or by what its format has for it."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING

from PIL import ImageCms

from stages.colour.space import SRGB, ColourSpace
from stages.heif.colours import heif_colour_space
from stages.png.colours import png_colour_space

if TYPE_CHECKING:
    from PIL import Image

MAX_PROFILE_BYTES = 4 * 1024 * 1024  # the largest press profiles have 2.7 MB
_MAX_NAME = 64
_GREY_MODES = frozenset({"1", "L", "LA", "I", "F"})
_V5_HEADER, _V5_END = struct.pack("<I", 124), 14 + 124
_UNSTATED = {"CMYK": ColourSpace("CMYK", "none"), "LAB": ColourSpace("Lab", "none")}


def read_colour_space(image: Image.Image, format: str, content: bytes) -> ColourSpace:  # noqa: A002  the API's own word
    """Return the colours of an image whose header is read. What is damaged or fits other channels is ignored.

    `content` is the file that was opened.
    """
    profile = _bmp_profile(content) if format == "bmp" else image.info.get("icc_profile")
    stated = _describe_profile(profile, image.mode)
    if format == "png":
        stated = png_colour_space(content, stated)
    if format in ("avif", "heic"):
        stated = stated or heif_colour_space(content)
    return stated or _UNSTATED.get(image.mode, SRGB)


def _bmp_profile(content: bytes) -> bytes | None:
    """Return the profile of a BITMAPV5HEADER. The gamma and the primaries in the header are ignored, as in browsers."""
    if len(content) < _V5_END or content[14:18] != _V5_HEADER or content[70:74] != b"DEBM":
        return None
    start, length = struct.unpack_from("<II", content, 14 + 112)
    return content[14 + start : 14 + start + length]


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
