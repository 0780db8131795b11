"""How alike two pictures are: structural similarity, and the peak signal-to-noise ratio."""

from __future__ import annotations

from math import inf, log10
from typing import Any

from PIL import Image, ImageMath

LEVELS = 255
# Wang, Bovik, Sheikh, Simoncelli: Image Quality Assessment: From Error Visibility to Structural Similarity, IEEE
# Transactions on Image Processing 13 (4), 2004: equation 13, its constants from section III.C.
C1, C2 = (0.01 * LEVELS) ** 2, (0.03 * LEVELS) ** 2
WINDOW, STEP = 8, 4


def ssim(one: Image.Image, other: Image.Image) -> float:
    """Return the mean SSIM of the luma over windows of 8 x 8 pixels, one every 4; at most 1, for equal pictures.

    Raises ValueError unless both have one size, of 12 pixels a side or more.
    """
    _check(one, other)
    first, second = one.convert("L").convert("F"), other.convert("L").convert("F")
    product = _of(lambda v: v["x"] * v["y"], x=first, y=second)
    squares = _of(lambda v: v["x"] * v["x"] + v["y"] * v["y"], x=first, y=second)
    found = [
        _mean(_index(*(_windows(each, left, top) for each in (first, second, product, squares))))
        for left in (0, STEP)
        for top in (0, STEP)
    ]
    return sum(found) / len(found)


def psnr(one: Image.Image, other: Image.Image) -> float:
    """Return the ratio over red, green and blue in decibels; infinite for equal pictures."""
    _check(one, other)
    pairs = zip(one.convert("RGB").split(), other.convert("RGB").split(), strict=True)
    errors = [
        _mean(_of(lambda v: (v["x"] - v["y"]) * (v["x"] - v["y"]), x=x.convert("F"), y=y.convert("F")))
        for x, y in pairs
    ]
    error = sum(errors) / len(errors)
    return 10 * log10(LEVELS**2 / error) if error else inf


def _index(mean_x: Image.Image, mean_y: Image.Image, product: Image.Image, squares: Image.Image) -> Image.Image:
    """Work equation 13 out for each window; `squares` is the mean of both squares together."""

    def formula(v: dict[str, Any]) -> Any:
        both, apart = v["x"] * v["y"], v["x"] * v["x"] + v["y"] * v["y"]
        above = (both * 2 + C1) * ((v["p"] - both) * 2 + C2)
        return above / ((apart + C1) * (v["s"] - apart + C2))

    return _of(formula, x=mean_x, y=mean_y, p=product, s=squares)


def _windows(image: Image.Image, left: int, top: int) -> Image.Image:
    """Return the mean of each whole window, beginning at an offset."""
    right, bottom = (
        start + (side - start) // WINDOW * WINDOW for start, side in zip((left, top), image.size, strict=True)
    )
    return image.reduce(WINDOW, (left, top, right, bottom))


def _of(formula: Any, **images: Image.Image) -> Image.Image:
    found: Image.Image = ImageMath.lambda_eval(formula, **images)
    return found


def _mean(image: Image.Image) -> float:
    values = image.tobytes("raw", "F")
    floats = memoryview(values).cast("f")
    return sum(floats) / len(floats)


def _check(one: Image.Image, other: Image.Image) -> None:
    if one.size != other.size or min(one.size) < WINDOW + STEP:
        raise ValueError(f"{one.size} and {other.size} pixels cannot be compared")
