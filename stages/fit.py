"""The resize operation: bring an image to a box in one of four ways."""

from __future__ import annotations

from typing import Literal, NamedTuple

from PIL import Image, ImageColor

from stages.background import is_transparent
from stages.crop import centred_box
from stages.decode import OpenedImage, open_image
from stages.decode_upright import decode_upright
from stages.errors import BrokenRule
from stages.limits import Limits, result_rules
from stages.rendition import WHITE, Rendition, broken_output_rules, raise_broken_rules, render
from stages.scale import scale

Fit = Literal["contain", "cover", "fill", "inside"]
FITS: tuple[Fit, ...] = ("contain", "cover", "fill", "inside")


class _Plan(NamedTuple):
    """The size to scale the image to, and the size of the result after padding or cutting; in pixels as displayed."""

    scaled: tuple[int, int]
    final: tuple[int, int]


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
    plan = _plan(opened.display_size, width, height, fit, enlarge=enlarge)
    raise_broken_rules(result_rules(plan.final, limits))
    image = (
        _crop_to_cover(opened, plan)
        if fit == "cover"
        else _pad_to_box(decode_upright(opened, size=plan.scaled), plan, background)
    )
    return render(image, format=format, quality=quality, background=background)


def _plan(size: tuple[int, int], width: int | None, height: int | None, fit: Fit, *, enlarge: bool) -> _Plan:
    """Compute the sizes for an image of `size`. Every side is rounded to whole pixels and is at least 1."""
    if not enlarge and not (width and height):  # bound the given side before the missing one follows from it
        width, height = (side and min(side, whole) for side, whole in zip((width, height), size, strict=True))
    box_width = width or max(1, round(size[0] * (height or 1) / size[1]))  # a missing side keeps the aspect ratio
    box_height = height or max(1, round(size[1] * (width or 1) / size[0]))
    cover_factor = max(box_width / size[0], box_height / size[1])  # the smallest scale that covers the whole box
    if fit in ("contain", "inside"):
        factors = [side / whole for side, whole in zip((width, height), size, strict=True) if side]
        factor = min(factors) if enlarge else min(*factors, 1.0)  # the largest scale that fits in the box
        scaled = max(1, round(size[0] * factor)), max(1, round(size[1] * factor))
        return _Plan(scaled, (box_width, box_height) if fit == "contain" and width and height else scaled)
    if not enlarge and cover_factor > 1:  # shrink the box until the image covers it at its own size
        box_width, box_height = max(1, round(box_width / cover_factor)), max(1, round(box_height / cover_factor))
        cover_factor = 1.0
    if fit == "fill":
        return _Plan((box_width, box_height), (box_width, box_height))
    # max(): rounding must not leave the scaled image a pixel short of the box.
    scaled = max(box_width, round(size[0] * cover_factor)), max(box_height, round(size[1] * cover_factor))
    return _Plan(scaled, (box_width, box_height))


def _crop_to_cover(opened: OpenedImage, plan: _Plan) -> Image.Image:
    """Scale the image to cover the box and cut the box out of its middle; an image that grows is cut first.

    Scaled as a whole, a thin strip would grow far beyond the limits on the result.
    """
    size = opened.display_size
    if plan.scaled[0] > size[0] or plan.scaled[1] > size[1]:
        return scale(decode_upright(opened, box=centred_box(size, plan.final)), plan.final)
    left, top = ((whole - part) // 2 for whole, part in zip(plan.scaled, plan.final, strict=True))
    return decode_upright(opened, size=plan.scaled, box=(left, top, left + plan.final[0], top + plan.final[1]))


def _pad_to_box(image: Image.Image, plan: _Plan, background: str) -> Image.Image:
    if plan.final == plan.scaled:
        return image
    colour = ImageColor.getrgb(background)[:3]
    if is_transparent(background) and image.mode == "RGB":
        image.putalpha(255)
    canvas = Image.new(image.mode, plan.final, (*colour, 0) if image.mode == "RGBA" else colour)
    canvas.paste(image, ((plan.final[0] - image.width) // 2, (plan.final[1] - image.height) // 2))
    return canvas


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
