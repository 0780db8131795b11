"""The step `modulate`: change brightness, saturation, hue and lightness."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

from annotated_types import Ge, Le
from PIL import Image, ImageFilter

from stages.steps.step import Step, StepContext
from stages.system_errors import check_memory

Colour = tuple[float, float, float]
_NODES = 25  # of the table, in each direction: Pillow interpolates between them, and cuts to 0 to 255 afterwards
# IEC 61966-2-1: linear sRGB to XYZ, each row divided by the white's, so that grey has neither a nor b.
_TO_XYZ = (
    (0.412453 / 0.950456, 0.357580 / 0.950456, 0.180423 / 0.950456),
    (0.212671, 0.715160, 0.072169),
    (0.019334 / 1.088754, 0.119193 / 1.088754, 0.950227 / 1.088754),
)
_TO_RGB = (
    (3.240479 * 0.950456, -1.537150, -0.498535 * 1.088754),
    (-0.969256 * 0.950456, 1.875991, 0.041556 * 1.088754),
    (0.055648 * 0.950456, -0.204043, 1.057311 * 1.088754),
)
_SRGB_KINK = 0.04045  # under it, the curve of sRGB is a line
_KINK = 6 / 29  # CIE 15: under its cube, the cube root is a line


@dataclass(frozen=True, slots=True, kw_only=True)
class Modulate(Step):
    """Change brightness, saturation, hue and lightness, in the colour space CIE LCh."""

    brightness: Annotated[float, Ge(0), Le(10)] = 1
    """The lightness is multiplied by it."""
    saturation: Annotated[float, Ge(0), Le(10)] = 1
    """The chroma is multiplied by it: 0 is grey."""
    hue: Annotated[float, Ge(-360), Le(360)] = 0
    """The hue is turned by so many degrees."""
    lightness: Annotated[float, Ge(-100), Le(100)] = 0
    """It is added to the lightness, which is 0 for black and 100 for white."""

    def apply(self, image: Image.Image, _context: StepContext) -> Image.Image:
        """Return the changed image in its own mode, with its own alpha."""
        check_memory(2 * 4 * image.width * image.height)
        if image.mode in ("L", "LA"):
            grey = image.getchannel(0).point([self._change_grey(level) for level in range(256)])
            return grey if image.mode == "L" else Image.merge("LA", (grey, image.getchannel(1)))
        return image.filter(_table(self))

    def _change_grey(self, level: int) -> int:
        return min(255, max(0, round(255 * self.change((level / 255,) * 3)[1])))

    def change(self, colour: Colour) -> Colour:
        """Return the changed colour, both in sRGB from 0 to 1: less or more is a colour that sRGB does not have."""
        lightness, a, b = _to_lab(colour)
        turn = math.radians(self.hue)
        return _to_srgb((
            lightness * self.brightness + self.lightness,
            self.saturation * (a * math.cos(turn) - b * math.sin(turn)),
            self.saturation * (a * math.sin(turn) + b * math.cos(turn)),
        ))  # fmt: skip


@lru_cache(maxsize=16)
def _table(step: Modulate) -> ImageFilter.Color3DLUT:
    """Return the step as a table: it takes 0.1 s to make, and a preset needs the same one for each image."""
    return ImageFilter.Color3DLUT.generate(_NODES, lambda red, green, blue: step.change((red, green, blue)))


def _to_lab(colour: Colour) -> Colour:
    linear = [level / 12.92 if level <= _SRGB_KINK else ((level + 0.055) / 1.055) ** 2.4 for level in colour]
    x, y, z = (
        share ** (1 / 3) if share > _KINK**3 else share / (3 * _KINK**2) + 4 / 29
        for share in _multiply(_TO_XYZ, linear)
    )
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def _to_srgb(lab: Colour) -> Colour:
    y = (lab[0] + 16) / 116
    roots = y + lab[1] / 500, y, y - lab[2] / 200
    xyz = [root**3 if root > _KINK else 3 * _KINK**2 * (root - 4 / 29) for root in roots]
    red, green, blue = map(_from_linear, _multiply(_TO_RGB, xyz))
    return red, green, blue


def _from_linear(level: float) -> float:
    """Return the sRGB level; under 0, the curve goes on the same way, so that the table has no bend there."""
    size = abs(level)
    return math.copysign(12.92 * size if size <= _SRGB_KINK / 12.92 else 1.055 * size ** (1 / 2.4) - 0.055, level)


def _multiply(matrix: tuple[Colour, Colour, Colour], vector: Sequence[float]) -> list[float]:
    x, y, z = vector
    return [row[0] * x + row[1] * y + row[2] * z for row in matrix]
