"""The box that a cropped rendition keeps: the largest of the target's aspect, around a point."""

from __future__ import annotations

import math


def focus_box(size: tuple[int, int], target: tuple[int, int], point: tuple[float, float]) -> tuple[int, int, int, int]:
    """Return the (left, top, right, bottom) of the largest box of the target's aspect in an image of `size`.

    It is as near to centred on the point as the image allows; the point is in shares of width and height, 0 to 1. The
    box has the full width or the full height of the image. Its other side is rounded to whole pixels, at least 1. For
    the point (0.5, 0.5) it is the box of `stages.crop.centred_box`.
    """
    width, height = size
    if cuts_width(size, target):
        width = max(1, round(height * target[0] / target[1]))
    else:
        height = max(1, round(width * target[1] / target[0]))
    left, top = _start(size[0], width, point[0]), _start(size[1], height, point[1])
    return left, top, left + width, top + height


def cuts_width(size: tuple[int, int], target: tuple[int, int]) -> bool:
    """Tell whether the image is wider than the target's aspect, so that its left and right are cut off."""
    return size[0] * target[1] > size[1] * target[0]


def _start(whole: int, part: int, share: float) -> int:
    start = math.ceil(share * whole - part / 2 - 0.5)  # the nearest pixel; of two, the first, as if centred
    return min(max(start, 0), whole - part)
