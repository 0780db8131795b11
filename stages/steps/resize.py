"""The step `resize`: bring the image to an edge or a box."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge, Le

from stages.decode_upright import decode_upright
from stages.fit import decode_to_plan
from stages.focus.find import CENTRE, find_focus
from stages.focus.spelling import parse_focus
from stages.limits import result_rules
from stages.reframe import reframe
from stages.rendition import raise_broken_rules
from stages.resize_plan import BoxFit, ResizePlan, plan_edge, plan_resize
from stages.steps.step import MAX_SIDE, Step

if TYPE_CHECKING:
    from PIL import Image

    from stages.decode import OpenedImage
    from stages.steps.step import StepContext

Side = Annotated[int, Ge(1), Le(MAX_SIDE)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resize(Step):
    """Bring the image to an edge, or to a box with a width, a height, or both."""

    SHORT: ClassVar[str] = "edge"

    edge: Side | None = None
    """The longest side, in pixels; instead of width and height."""
    width: Side | None = None
    """The width of the box, in pixels; it follows from the height if it is missing."""
    height: Side | None = None
    """The height of the box, in pixels; it follows from the width if it is missing."""
    fit: BoxFit = "inside"
    """How the image comes to the box: `inside` bounds it; the others are those of CSS's `object-fit`."""
    enlarge: bool = False
    """Whether a small image grows."""
    focus: str = "centre"
    """What a cut keeps: `centre`, `auto`, or a point as shares of width and height: `0.3,0.7`."""

    def __post_init__(self) -> None:
        """Raise ValueError unless there is one size."""
        if (self.edge is None) == (self.width is None and self.height is None):
            raise ValueError("A resize needs either an edge, or a width, a height or both.")
        if self.edge is not None and self.fit != "inside":
            raise ValueError("An edge bounds the longest side. For another fit, set width and height.")
        parse_focus(self.focus)

    def decode(self, opened: OpenedImage, context: StepContext) -> Image.Image:
        """Return the opened image at the size; the decoder does most of a reduction."""
        plan = self._plan(opened.display_size, context.dpr)
        raise_broken_rules(result_rules(plan.final, context.limits))
        if self.fit == "cover" and self.focus != "centre":  # what stays is found in the decoded image
            size = opened.display_size if plan.enlarges else plan.scaled
            return self.apply(decode_upright(opened, size=size), context)
        return decode_to_plan(opened, plan, fit=self.fit, background=context.background)

    def apply(self, image: Image.Image, context: StepContext) -> Image.Image:
        """Return the image at the size. Raises InvalidOperation if that is over the limits."""
        plan = self._plan(image.size, context.dpr)
        raise_broken_rules(result_rules(plan.final, context.limits))
        point = find_focus(image, parse_focus(self.focus), plan.final) if self.fit == "cover" else CENTRE
        return reframe(image, plan, fit=self.fit, point=point, background=context.background)

    def _plan(self, size: tuple[int, int], dpr: float) -> ResizePlan:
        edge, width, height = (side and max(1, round(side * dpr)) for side in (self.edge, self.width, self.height))
        if edge is not None:
            return plan_edge(size, edge, enlarge=self.enlarge)
        return plan_resize(size, width=width, height=height, fit=self.fit, enlarge=self.enlarge)
