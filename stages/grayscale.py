"""The grayscale operation: the same picture, told by its luminance alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.decode import open_image
from stages.decode_upright import decode_upright
from stages.rendition import WHITE, Rendition, broken_output_rules, raise_broken_rules, render

if TYPE_CHECKING:
    from stages.limits import Limits


def grayscale(
    original: bytes,
    *,
    limits: Limits,
    format: str = "auto",  # noqa: A002  the API's own word
    quality: int | None = None,
    background: str = WHITE,
) -> Rendition:
    """Return the upright original at full size in greys, its alpha kept where the format can.

    Grey is 0.299 R + 0.587 G + 0.114 B: ITU-R BT.601-7, 2.5.1. Raises InvalidOperation for an impossible output.
    """
    opened = open_image(original, limits=limits)
    raise_broken_rules(broken_output_rules(format, quality, background))
    image = decode_upright(opened)
    grey = image.convert("LA" if image.mode == "RGBA" else "L")
    return render(grey, format=format, quality=quality, background=background)
