"""The step `rotate`: turn the image clockwise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge, Le
from PIL import Image

from stages.limits import Limits, result_rules
from stages.rendition import flatten, raise_broken_rules
from stages.steps.alpha import PREMULTIPLY, surrounded_mode
from stages.steps.step import Step, StepContext
from stages.system_errors import check_memory

_QUARTERS = {
    90: Image.Transpose.ROTATE_270,  # Pillow turns counter-clockwise
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_90,
}
_WITH_ALPHA = {"L": "LA", "LA": "LA", "RGB": "RGBA", "RGBA": "RGBA"}
_BORDER = 2  # transparent pixels around the image: the cubic looks two pixels far, so the edges become smooth
# The cubic overshoots at edges. Where alpha were cut to 255 and the colour were not, a bright line would be seen.
_LESS = [round(level * 3 / 4) for level in range(256)]
_MORE = [min(255, round(level * 4 / 3)) for level in range(256)]
_ROUNDING = 1e-6  # of a pixel


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotate(Step):
    """Turn the image clockwise."""

    SHORT: ClassVar[str] = "degrees"

    degrees: Annotated[float, Ge(-360), Le(360)]
    """The angle. Multiples of 90 keep every pixel; with others the image grows, and its corners are background."""

    def apply(self, image: Image.Image, context: StepContext) -> Image.Image:
        """Return the turned image. Its corners are transparent if the image has alpha or the background is transparent.

        Raises InvalidOperation if the result is over the limits.
        """
        degrees = self.degrees % 360
        if degrees == 0:
            return image
        if degrees in _QUARTERS:
            return image.transpose(_QUARTERS[int(degrees)])
        mode = surrounded_mode(image, context.background)
        turned = _turn(image.convert(_WITH_ALPHA[mode]), math.radians(degrees), context.limits)
        return turned if turned.mode == mode else flatten(turned, context.background)


def _turn(image: Image.Image, angle: float, limits: Limits) -> Image.Image:
    """Return an LA or RGBA image turned clockwise about its centre, on a transparent canvas that holds all of it."""
    cosine, sine = math.cos(angle), math.sin(angle)
    width, height = (
        math.ceil(image.width * abs(across) + image.height * abs(down) - _ROUNDING)
        for across, down in ((cosine, sine), (sine, cosine))
    )
    raise_broken_rules(result_rules((width, height), limits))
    check_memory(4 * (3 * image.width * image.height + 2 * width * height))
    source = Image.new(image.mode, (image.width + 2 * _BORDER, image.height + 2 * _BORDER))
    source.paste(image, (_BORDER, _BORDER))
    source = source.convert(PREMULTIPLY[image.mode]).point(_LESS * len(image.getbands()))
    left = source.width / 2 - (width * cosine + height * sine) / 2
    top = source.height / 2 - (height * cosine - width * sine) / 2
    matrix = (cosine, sine, left, -sine, cosine, top)  # from the result to the source
    turned = source.transform((width, height), Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)
    turned = turned.convert(image.mode)  # divides by alpha
    turned.putalpha(turned.getchannel("A").point(_MORE))
    return turned
