"""The place of a crop: a window that slides along the one side that is cut."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image

from stages.focus.boxes import cuts_width

# How much of what the maps show a box at the very edge must gain over the centred box. Photographers centre: without
# it, more photos lose their subject than by cutting at the centre.
CENTRE_PREFERENCE = 0.2


class WeightedMap(NamedTuple):
    """A small picture of an image, mode L: the brighter, the more a crop should keep what is there."""

    map: Image.Image
    weight: float


def best_point(
    size: tuple[int, int], target: tuple[int, int], maps: Sequence[WeightedMap]
) -> tuple[float, float] | None:
    """Return the middle of the best box of the target's aspect in an image of `size`, in shares of width and height.

    The maps have one size and show the whole image. Returns None if all of them are black.
    """
    width, height = size
    if cuts_width(size, target):
        middle = _best_middle(_profile(maps, along_width=True), height * target[0] / target[1] / width)
        return None if middle is None else (middle, 0.5)
    middle = _best_middle(_profile(maps, along_width=False), width * target[1] / target[0] / height)
    return None if middle is None else (0.5, middle)


def _profile(maps: Sequence[WeightedMap], *, along_width: bool) -> list[float]:
    """Return the weighted mean of the maps' columns or rows; their sum is 1, or 0 if all maps are black."""
    profiles = []
    for item in maps:
        line = (item.map.width, 1) if along_width else (1, item.map.height)
        values = array("f", item.map.convert("F").resize(line, Image.Resampling.BOX).tobytes())
        total = sum(values)
        if total > 0:
            profiles.append([item.weight * value / total for value in values])
    weights = sum(sum(profile) for profile in profiles)
    return [sum(column) / weights for column in zip(*profiles, strict=True)]


def _best_middle(profile: Sequence[float], share: float) -> float | None:
    """Return the middle of the window with this share of the profile's length that keeps most, near its own middle."""
    if not profile:
        return None
    length = len(profile)
    part = min(length, max(1, round(share * length)))
    # The middle of the window counts most: a subject should have room on both sides.
    weights = [min(2 * index + 1, 2 * (part - index) - 1) / part for index in range(part)]

    def score(start: int) -> float:
        kept = sum(weight * value for weight, value in zip(weights, profile[start : start + part], strict=True))
        return kept - CENTRE_PREFERENCE * ((2 * start + part) / length - 1) ** 2

    return (2 * max(range(length - part + 1), key=score) + part) / (2 * length)
