"""The grayscale operation: keep the luminance of an image, drop its colours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.decode import open_image
from stages.decode_upright import decode_upright
from stages.rendition import WHITE, Rendition, broken_output_rules, raise_broken_rules, render

if TYPE_CHECKING:
    from PIL import Image

    from stages.limits import Limits


def grayscale(
    original: bytes,
    *,
    limits: Limits,
    format: str = "auto",  # noqa: A002  the API's own word
    quality: int | None = None,
    background: str = WHITE,
) -> Rendition:
    """Return the upright original at full size in grey, with its alpha if the format can hold it.

    Grey is 0.299 R + 0.587 G + 0.114 B: ITU-R BT.601-7, 2.5.1. Raises InvalidOperation if the output is not possible.
    """
    opened = open_image(original, limits=limits)
    raise_broken_rules(broken_output_rules(format, quality, background))
    return render(to_grey(decode_upright(opened)), format=format, quality=quality, background=background)


def to_grey(image: Image.Image) -> Image.Image:
    """Return the luminance of an L, LA, RGB or RGBA image as L, or as LA if the image has alpha."""
    return image.convert("LA" if image.mode in ("LA", "RGBA") else "L")
