"""The resize operation: bring an image to a box in one of four ways."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from stages.crop import centred_box
from stages.decode import OpenedImage, open_image
from stages.decode_upright import decode_upright
from stages.errors import BrokenRule
from stages.limits import Limits, result_rules
from stages.padding import pad
from stages.rendition import WHITE, Rendition, broken_output_rules, raise_broken_rules, render
from stages.resize_plan import BoxFit, ResizePlan, plan_resize
from stages.scale import scale

if TYPE_CHECKING:
    from PIL import Image

Fit = Literal["contain", "cover", "fill", "inside"]
FITS: tuple[Fit, ...] = ("contain", "cover", "fill", "inside")


def fit(  # noqa: PLR0913  the operation's own parameters
    original: bytes,
    *,
    width: int | None = None,
    height: int | None = None,
    fit: Fit = "contain",
    enlarge: bool = False,
    background: str = WHITE,
    limits: Limits,
    format: str = "auto",  # noqa: A002  the API's own word
    quality: int | None = None,
) -> Rendition:
    """Bring the upright original to a box of width x height pixels; a missing side follows from the other.

    `inside` scales the image so that all of it fits in the box. `contain` does the same and pads the box with the
    background, which may be transparent. `cover` scales it so that it covers the box and cuts off the rest evenly.
    `fill` stretches it to the box. Without `enlarge` the image never grows: `inside` and `contain` leave a small image
    as it is; `cover` and `fill` shrink the box, in its own aspect ratio, until it fits in the image.

    Raises InvalidOperation with every broken rule, also if the result would be over the limits.
    """
    opened = open_image(original, limits=limits)
    raise_broken_rules(_box_rules(width, height, fit) + broken_output_rules(format, quality, background))
    plan = plan_resize(opened.display_size, width=width, height=height, fit=fit, enlarge=enlarge)
    raise_broken_rules(result_rules(plan.final, limits))
    image = decode_to_plan(opened, plan, fit=fit, background=background)
    return render(image, format=format, quality=quality, background=background)


def decode_to_plan(opened: OpenedImage, plan: ResizePlan, *, fit: BoxFit, background: str) -> Image.Image:
    """Decode an opened image to the final size of the plan, as the fit says; `cover` keeps the middle."""
    if fit == "cover":
        return _crop_to_cover(opened, plan)
    return pad(decode_upright(opened, size=plan.scaled), plan.final, background)


def _crop_to_cover(opened: OpenedImage, plan: ResizePlan) -> Image.Image:
    """Scale the image to cover the box and cut the box out of its middle; an image that grows is cut first.

    Scaled as a whole, a thin strip would grow far beyond the limits on the result.
    """
    size = opened.display_size
    if plan.scaled[0] > size[0] or plan.scaled[1] > size[1]:
        return scale(decode_upright(opened, box=centred_box(size, plan.final)), plan.final)
    left, top = ((whole - part) // 2 for whole, part in zip(plan.scaled, plan.final, strict=True))
    return decode_upright(opened, size=plan.scaled, box=(left, top, left + plan.final[0], top + plan.final[1]))


def _box_rules(width: int | None, height: int | None, fit: str) -> list[BrokenRule]:
    rules = []
    if fit not in FITS:
        message = f"The fit must be one of {', '.join(FITS)}."
        rules.append(BrokenRule(pointer="/fit", rule="choice", message=message, actual=fit))
    if width is None and height is None:
        message = "The resize needs a width, a height, or both."
        rules.append(BrokenRule(pointer="/width", rule="required", message=message))
    for name, value in (("width", width), ("height", height)):
        if value is not None and value < 1:
            message = f"The {name} is {value:,}; it must be at least 1."
            rules.append(BrokenRule(pointer=f"/{name}", rule="minimum", message=message, limit=1, actual=value))
    return rules
