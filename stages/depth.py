"""Conversion of every pixel layout that Pillow returns to 8 bits a channel: values are scaled, never clipped."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from stages.tiff.directory import PHOTOMETRIC
from stages.tiff.layout import WHITE_IS_ZERO

if TYPE_CHECKING:
    from PIL import Image

EIGHT_BIT_MODES = frozenset({"L", "LA", "RGB", "RGBA", "CMYK", "LAB"})
_BYTE_MAX, _WORD_MAX = 255, 65_535
_FROM_WORD = [(value * _BYTE_MAX + _WORD_MAX // 2) // _WORD_MAX for value in range(_WORD_MAX + 1)]


def to_eight_bit(image: Image.Image) -> Image.Image:
    """Return the image in L, LA, RGB, RGBA, CMYK or LAB; a transparent colour becomes an alpha channel."""
    if image.mode.startswith("I;16"):
        return _scale_16_bit(image)
    if image.mode in ("I", "F"):
        return _scale_32_bit(image)
    if "transparency" in image.info:
        return image.convert("LA" if image.mode in ("1", "L") else "RGBA")
    if image.mode in EIGHT_BIT_MODES:
        return image
    return image.convert({"1": "L", "La": "LA", "PA": "RGBA", "RGBa": "RGBA"}.get(image.mode) or _palette_mode(image))


def _palette_mode(image: Image.Image) -> str:
    return "RGBA" if image.mode == "P" and image.has_transparency_data else "RGB"


def _scale_16_bit(image: Image.Image) -> Image.Image:
    words = image.convert("I")
    if getattr(image, "tag_v2", {}).get(PHOTOMETRIC) == WHITE_IS_ZERO:  # Pillow inverts up to 8 bits only
        words = words.point(lambda value: value * -1 + _WORD_MAX)
    grey = words.point(_FROM_WORD, "L")
    key = image.info.get("transparency")
    if not isinstance(key, int):
        return grey
    alpha = words.point([0 if value == key else _BYTE_MAX for value in range(_WORD_MAX + 1)], "L")
    return _with_alpha(grey, alpha)


def _with_alpha(grey: Image.Image, alpha: Image.Image) -> Image.Image:
    grey.putalpha(alpha)
    return grey


def _scale_32_bit(image: Image.Image) -> Image.Image:
    """Scale 32-bit numbers from the narrowest usual range that holds them.

    It is 0 to 1 (floats only), 0 to 255 or 0 to 65535, else from their minimum to their maximum.
    """
    numbers = image if image.mode == "F" else image.convert("F")
    low, high = numbers.getextrema()
    if not (isinstance(low, float) and isinstance(high, float) and math.isfinite(low) and math.isfinite(high)):
        low, high = 0.0, 1.0
    elif low >= 0 and high <= _WORD_MAX:
        ceilings = (1, _BYTE_MAX, _WORD_MAX) if image.mode == "F" else (_BYTE_MAX, _WORD_MAX)
        low, high = 0.0, float(next(ceiling for ceiling in ceilings if high <= ceiling))
    factor = _BYTE_MAX / (high - low) if high > low else 0.0
    return numbers.point(lambda value: value * factor + (0.5 - low * factor)).convert("L")
