"""The step `sharpen`: an unsharp mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge, Gt, Le
from PIL import Image

from stages.steps.alpha import PREMULTIPLY
from stages.steps.blur import blur_gaussian
from stages.steps.step import Step, StepContext
from stages.system_errors import check_memory

_COPIES = 3  # of four bytes a pixel: the blurred image, the one over the original, the result


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharpen(Step):
    """Make edges stand out more, by an unsharp mask."""

    SHORT: ClassVar[str] = "radius"

    radius: Annotated[float, Ge(0.1), Le(20)] = 1
    """The width of edges: the standard deviation of the blur, in pixels."""
    amount: Annotated[float, Gt(0), Le(5)] = 0.8
    """How much of the difference from the blurred image is added: 1 doubles it."""

    def apply(self, image: Image.Image, context: StepContext) -> Image.Image:
        """Return the sharpened image; its alpha is that of the given one."""
        check_memory(_COPIES * 4 * image.width * image.height)
        blurred = blur_gaussian(image, self.radius * context.dpr)
        if image.mode not in PREMULTIPLY:
            return Image.blend(blurred, image, 1 + self.amount)  # a blend of over 1 adds the difference
        return _sharpen_colours(image.convert("RGBA"), blurred.convert("RGBA"), self.amount).convert(image.mode)


def _sharpen_colours(image: Image.Image, blurred: Image.Image, amount: float) -> Image.Image:
    """Sharpen RGBA; where most pixels are transparent, the blurred colour is not known well and counts less."""
    alpha = image.getchannel("A")
    opaque = image.copy()
    opaque.putalpha(255)
    result = Image.blend(Image.alpha_composite(opaque, blurred), opaque, 1 + amount)
    result.putalpha(alpha)
    return result
