"""The step `crop`: cut out a box, given by numbers or by an aspect ratio."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge, Le

from stages.crop import box_rules
from stages.decode_upright import decode_upright
from stages.focus.boxes import focus_box
from stages.focus.find import CENTRE, find_focus
from stages.focus.spelling import parse_focus
from stages.reframe import cut
from stages.rendition import raise_broken_rules
from stages.steps.step import MAX_SIDE, Step

if TYPE_CHECKING:
    from PIL import Image

    from stages.decode import OpenedImage
    from stages.steps.step import StepContext

Side = Annotated[int, Ge(1), Le(MAX_SIDE)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Crop(Step):
    """Cut out the box (left, top, width, height), or the largest box of an aspect ratio."""

    SHORT: ClassVar[str] = "aspect"

    left: Annotated[int, Ge(0), Le(MAX_SIDE)] | None = None
    """Pixels to the left of the box."""
    top: Annotated[int, Ge(0), Le(MAX_SIDE)] | None = None
    """Pixels above the box."""
    width: Side | None = None
    """The width of the box, in pixels."""
    height: Side | None = None
    """The height of the box, in pixels."""
    aspect: tuple[Side, Side] | None = None
    """The ratio of width to height, `[3, 2]`; instead of the four numbers."""
    focus: str = "centre"
    """What a crop by aspect keeps: `centre`, `auto`, or a point as shares of width and height: `0.3,0.7`."""

    def __post_init__(self) -> None:
        """Raise ValueError unless there is one box."""
        numbers = (self.left, self.top, self.width, self.height)
        if self.aspect is None and None in numbers:
            raise ValueError("A crop needs either an aspect, or left, top, width and height.")
        if self.aspect is not None and any(number is not None for number in numbers):
            raise ValueError("Give either the aspect, or left, top, width and height, not both.")
        if self.aspect is None and self.focus != "centre":
            raise ValueError("A focus is for a crop by aspect: the numbers say what stays.")
        parse_focus(self.focus)

    def apply(self, image: Image.Image, context: StepContext) -> Image.Image:
        """Return the box. Raises InvalidOperation with every number that does not lie in the image."""
        if self.aspect is not None:
            point = find_focus(image, parse_focus(self.focus), self.aspect)
            return cut(image, focus_box(image.size, self.aspect, point))
        return cut(image, self._box(image.size, context.dpr))

    def decode(self, opened: OpenedImage, context: StepContext) -> Image.Image:
        """Return the box of the opened image; only what stays is converted."""
        if self.aspect is None:
            return decode_upright(opened, box=self._box(opened.display_size, context.dpr))
        if self.focus != "centre":  # what stays is found in the decoded image
            return self.apply(decode_upright(opened), context)
        return decode_upright(opened, box=focus_box(opened.display_size, self.aspect, CENTRE))

    def _box(self, size: tuple[int, int], dpr: float) -> tuple[int, int, int, int]:
        """Return the (left, top, right, bottom) of the numbers. Raises InvalidOperation."""
        left, top = self.left or 0, self.top or 0
        sides = (left, top, left + (self.width or 1), top + (self.height or 1))
        # The sides of the image were rounded in the same way, so a box that ends with it at one density does at all.
        left, top, right, bottom = (round(side * dpr) for side in sides)
        right, bottom = max(right, left + 1), max(bottom, top + 1)
        numbers = {"left": left, "top": top, "width": right - left, "height": bottom - top}
        raise_broken_rules(box_rules(numbers, size))
        return left, top, right, bottom
