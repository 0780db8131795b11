"""The step `round`: round the corners."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Le
from PIL import Image, ImageChops

from stages.steps.alpha import add_alpha
from stages.steps.step import Step, StepContext
from stages.system_errors import check_memory

_LINES = 16  # a pixel is covered by so many lines
_OPAQUE = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Round(Step):
    """Round the corners. What is cut off is transparent; a format without alpha shows the background there."""

    SHORT: ClassVar[str] = "radius"

    radius: Annotated[float, Ge(1), Le(10_000)] | Literal["max"] = "max"
    """The radius of the corners in pixels, at most half of the shorter side; `max` makes a circle or an ellipse."""

    def apply(self, image: Image.Image, context: StepContext) -> Image.Image:
        """Return the image as LA or RGBA, with smooth corners."""
        check_memory(6 * image.width * image.height)
        radii = image.width / 2, image.height / 2
        if self.radius != "max":
            radii = (min(self.radius * context.dpr, *radii),) * 2
        rounded = add_alpha(image).copy()
        alpha = ImageChops.multiply(rounded.getchannel("A"), _draw_mask(image.size, *radii))
        rounded.putalpha(alpha)
        return rounded


def _draw_mask(size: tuple[int, int], across: float, down: float) -> Image.Image:
    """Draw an opaque rectangle whose corners are quarters of an ellipse with these two radii."""
    mask = Image.new("L", size, _OPAQUE)
    corner = _draw_corner(across, down)
    right, bottom = size[0] - corner.width, size[1] - corner.height
    flipped = corner.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    for picture, x in ((corner, 0), (flipped, right)):
        for part, y in ((picture, 0), (picture.transpose(Image.Transpose.FLIP_TOP_BOTTOM), bottom)):
            box = x, y, x + part.width, y + part.height
            # In the middle, corners may share a row and a column, which loses what each of them cuts off.
            mask.paste(ImageChops.add(mask.crop(box), part, offset=-_OPAQUE), box)
    return mask


def _draw_corner(across: float, down: float) -> Image.Image:
    """Draw the upper left quarter of an ellipse: each pixel by how much of it is inside."""
    width, height = math.ceil(across), math.ceil(down)
    rows = (_draw_row(width, across, down, top) for top in range(height))
    return Image.frombytes("L", (width, height), b"".join(rows))


def _draw_row(width: int, across: float, down: float, top: int) -> bytes:
    """Return the levels of one row of the corner, from lines that each start where the ellipse does."""
    starts = []
    for line in range(_LINES):
        distance = max(0.0, 1 - (top + (line + 0.5) / _LINES) / down)  # from the centre, as a share of the radius
        starts.append(across * (1 - math.sqrt(1 - distance**2)))
    first, last = math.floor(starts[-1]), min(width, math.ceil(starts[0]) + 1)
    edge = bytes(
        round(_OPAQUE * sum(min(1.0, max(0.0, x + 1 - start)) for start in starts) / _LINES) for x in range(first, last)
    )
    return bytes(first) + edge + bytes((_OPAQUE,)) * (width - last)
