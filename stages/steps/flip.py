"""The step `flip`: mirror the image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from PIL import Image

from stages.steps.step import Step, StepContext

_METHODS = {
    "horizontal": Image.Transpose.FLIP_LEFT_RIGHT,
    "vertical": Image.Transpose.FLIP_TOP_BOTTOM,
    "both": Image.Transpose.ROTATE_180,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip(Step):
    """Mirror the image."""

    SHORT: ClassVar[str] = "direction"

    direction: Literal["horizontal", "vertical", "both"] = "horizontal"
    """`horizontal` swaps left and right, `vertical` swaps top and bottom, `both` turns the image by 180 degrees."""

    def apply(self, image: Image.Image, _context: StepContext) -> Image.Image:
        """Return the mirrored image. Every pixel is kept."""
        return image.transpose(_METHODS[self.direction])
