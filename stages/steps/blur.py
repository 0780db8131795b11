"""The step `blur`, and the Gaussian that sharpen takes too."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge, Le
from PIL import Image, ImageFilter

from stages.scale import scale
from stages.steps.alpha import PREMULTIPLY
from stages.steps.step import Step, StepContext
from stages.system_errors import check_memory

_COPIES = 3  # of four bytes a pixel: the premultiplied image, the blurred one, and one between the passes
_REDUCED_RADIUS = 2  # the least radius that remains after a reduction: under it, the reduction would show
_REDUCED_SIDE = 64  # the shorter side that remains: with less, what is continued outwards is not the edge any more


@dataclass(frozen=True, slots=True, kw_only=True)
class Blur(Step):
    """Blur the image as a lens does."""

    SHORT: ClassVar[str] = "radius"

    radius: Annotated[float, Ge(0.1), Le(100)] = 2
    """The standard deviation of the Gaussian, in pixels."""

    def apply(self, image: Image.Image, context: StepContext) -> Image.Image:
        """Return the blurred image; its edges are continued outwards."""
        return blur_gaussian(image, self.radius * context.dpr)


def blur_gaussian(image: Image.Image, radius: float) -> Image.Image:
    """Blur by a Gaussian with this standard deviation in pixels; transparent pixels give nothing of their colour.

    What a large radius leaves is seen as well in an image of fewer pixels: that is blurred and enlarged again. The
    reduction itself blurs by at most 1% of the radius.
    """
    factor = max(1, min(math.floor(radius / _REDUCED_RADIUS), min(image.size) // _REDUCED_SIDE))
    size = max(1, round(image.width / factor)), max(1, round(image.height / factor))
    small = scale(image, size)
    check_memory(_COPIES * 4 * small.width * small.height)
    premultiplied = small.convert(PREMULTIPLY[image.mode]) if image.mode in PREMULTIPLY else small
    blurred = premultiplied.filter(ImageFilter.GaussianBlur(radius / factor))
    return scale(blurred.convert(image.mode), image.size)
