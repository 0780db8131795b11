"""The step `pad`: add background around the image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge, Le
from PIL import Image

from stages.limits import result_rules
from stages.padding import pad
from stages.rendition import raise_broken_rules
from stages.steps.step import Step, StepContext
from stages.system_errors import check_memory

Padding = Annotated[int, Ge(0), Le(10_000)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pad(Step):
    """Add background around the image."""

    SHORT: ClassVar[str] = "pixels"

    pixels: Padding = 0
    """How much is added on each side, in pixels."""
    top: Padding | None = None
    """Instead of `pixels`, at the top."""
    right: Padding | None = None
    """Instead of `pixels`, on the right."""
    bottom: Padding | None = None
    """Instead of `pixels`, at the bottom."""
    left: Padding | None = None
    """Instead of `pixels`, on the left."""

    def apply(self, image: Image.Image, context: StepContext) -> Image.Image:
        """Return the image with the background around it, transparent if the image has alpha or the background is.

        Raises InvalidOperation if the result is over the limits.
        """
        top, right, bottom, left = (
            round((self.pixels if side is None else side) * context.dpr)
            for side in (self.top, self.right, self.bottom, self.left)
        )
        size = left + image.width + right, top + image.height + bottom
        raise_broken_rules(result_rules(size, context.limits))
        check_memory(2 * 4 * size[0] * size[1])
        return pad(image, size, context.background, (left, top))
