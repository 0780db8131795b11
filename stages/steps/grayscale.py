"""The step `grayscale`: keep the luminance, drop the colours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stages.grayscale import to_grey
from stages.steps.step import Step

if TYPE_CHECKING:
    from PIL import Image

    from stages.steps.step import StepContext


@dataclass(frozen=True, slots=True, kw_only=True)
class Grayscale(Step):
    """Keep the luminance, drop the colours. Alpha stays."""

    def apply(self, image: Image.Image, _context: StepContext) -> Image.Image:
        """Return the image in L or LA."""
        return to_grey(image)
