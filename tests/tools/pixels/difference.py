"""How far two programs' views of a file are apart, and whether one of them is turned."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

from PIL import Image, ImageChops

from tests.tools.pixels.reading import Views, reduce_view

LEVELS = 256
_ROUGH = 8  # the averages of so many pixels squared lose what JPEG and WebP lose
_TURNS = {  # what must be done to ours to make it look like the oracle's
    "mirror": Image.Transpose.FLIP_LEFT_RIGHT,
    "flip": Image.Transpose.FLIP_TOP_BOTTOM,
    "turn 180": Image.Transpose.ROTATE_180,
    "turn left": Image.Transpose.ROTATE_90,
    "turn right": Image.Transpose.ROTATE_270,
    "transpose": Image.Transpose.TRANSPOSE,
    "transverse": Image.Transpose.TRANSVERSE,
}
_TURN_MATTERS, _TURN_HELPS = 2.0, 3.0  # levels, and how many times nearer a turned view must be


@dataclass(frozen=True, slots=True)
class Difference:
    """Levels of 255 between two views over the background where they differ more: the mean, and 99 of 100 are below."""

    mean: float
    p99: int
    background: int = 0


def compare_views(ours: Views, theirs: Views) -> Difference:
    """Compare channel by channel. Views of another size are scaled to that of `theirs`."""
    pairs = enumerate(zip(ours, theirs, strict=True))
    differences = [_difference(one, other, index) for index, (one, other) in pairs]
    return max(differences, key=lambda difference: (difference.mean, difference.p99))


def compare_roughly(ours: Views, theirs: Views) -> Difference:
    """Compare averages over blocks: for what was encoded with losses."""
    size = tuple(max(1, side // _ROUGH) for side in theirs[0].size)
    rough = [tuple(reduce_view(view, (size[0], size[1])) for view in views) for views in (ours, theirs)]
    return compare_views(rough[0], rough[1])


def find_turn(ours: Views, theirs: Views, found: Difference) -> str:
    """Return what would make ours far more like theirs: a turn or a mirror image; empty if nothing does."""
    if found.mean < _TURN_MATTERS:
        return ""
    turned = {name: tuple(view.transpose(turn) for view in ours) for name, turn in _TURNS.items()}
    means = {
        name: compare_views(views, theirs).mean
        for name, views in turned.items()
        if views[0].width * theirs[0].height == views[0].height * theirs[0].width
    }
    best = min(means, key=lambda name: means[name], default="")
    return best if best and means[best] * _TURN_HELPS < found.mean else ""


def difference_image(ours: Image.Image, theirs: Image.Image) -> Image.Image:
    """Return the absolute difference of two views, channel by channel."""
    return ImageChops.difference(reduce_view(ours, theirs.size), theirs)


def _difference(ours: Image.Image, theirs: Image.Image, background: int) -> Difference:
    bands = difference_image(ours, theirs).histogram()
    counts = [sum(bands[level::LEVELS]) for level in range(LEVELS)]
    total = sum(counts)
    below = accumulate(counts)
    p99 = next(level for level, count in enumerate(below) if count >= total * 0.99)
    return Difference(sum(level * count for level, count in enumerate(counts)) / total, p99, background)
