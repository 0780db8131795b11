"""The resize operation: a picture brought to a box, in one of the four ways there are."""

from __future__ import annotations

from typing import Literal, NamedTuple

from PIL import Image, ImageColor

from stages.crop import centred_box
from stages.decode import OpenedImage, open_image
from stages.decode_upright import decode_upright
from stages.errors import BrokenRule
from stages.limits import Limits
from stages.rendition import WHITE, Rendition, broken_output_rules, raise_broken_rules, render
from stages.scale import scale

Fit = Literal["contain", "cover", "fill", "inside"]
FITS: tuple[Fit, ...] = ("contain", "cover", "fill", "inside")


class _Plan(NamedTuple):
    """The size of the picture once scaled, and of the canvas or cut it ends in; both in pixels as displayed."""

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
    """Bring the upright original to a box of width x height pixels; a side left out follows from the other.

    `contain` fits it in and fills the box up with the background, `inside` only fits it in, `cover` fills the box and
    cuts off the rest evenly, `fill` stretches. Unless told to enlarge, a picture smaller than its place is not
    enlarged: it stays as it is in `contain` and `inside`, and the box shrinks in its own shape in `cover` and `fill`.
    Raises InvalidOperation, naming every broken rule, also where the result would be over the limits.
    """
    opened = open_image(original, limits=limits)
    raise_broken_rules(_box_rules(width, height, fit) + broken_output_rules(format, quality, background))
    plan = _plan(opened.display_size, width, height, fit, enlarge=enlarge)
    raise_broken_rules(_result_rules(plan.final, limits))
    image = (
        _crop_to_cover(opened, plan)
        if fit == "cover"
        else _pad_to_box(decode_upright(opened, size=plan.scaled), plan, background)
    )
    return render(image, format=format, quality=quality, background=background)


def _plan(size: tuple[int, int], width: int | None, height: int | None, fit: Fit, *, enlarge: bool) -> _Plan:
    if not enlarge and not (width and height):  # the side left out follows from what the other becomes
        width, height = (side and min(side, whole) for side, whole in zip((width, height), size, strict=True))
    across = width or max(1, round(size[0] * (height or 1) / size[1]))
    down = height or max(1, round(size[1] * (width or 1) / size[0]))
    larger = max(across / size[0], down / size[1])
    if fit in ("contain", "inside"):
        asked = [side / whole for side, whole in zip((width, height), size, strict=True) if side]
        factor = min(asked) if enlarge else min(*asked, 1.0)
        scaled = max(1, round(size[0] * factor)), max(1, round(size[1] * factor))
        return _Plan(scaled, (across, down) if fit == "contain" and width and height else scaled)
    if not enlarge and larger > 1:
        across, down = max(1, round(across / larger)), max(1, round(down / larger))
        larger = 1.0
    if fit == "fill":
        return _Plan((across, down), (across, down))
    covering = max(across, round(size[0] * larger)), max(down, round(size[1] * larger))
    return _Plan(covering, (across, down))


def _crop_to_cover(opened: OpenedImage, plan: _Plan) -> Image.Image:
    size = opened.display_size
    if plan.scaled[0] > size[0] or plan.scaled[1] > size[1]:  # cut first: a thin strip would be enlarged beyond bounds
        return scale(decode_upright(opened, box=centred_box(size, plan.final)), plan.final)
    left, top = ((whole - part) // 2 for whole, part in zip(plan.scaled, plan.final, strict=True))
    return decode_upright(opened, size=plan.scaled, box=(left, top, left + plan.final[0], top + plan.final[1]))


def _pad_to_box(image: Image.Image, plan: _Plan, background: str) -> Image.Image:
    if plan.final == plan.scaled:
        return image
    colour = ImageColor.getrgb(background)[:3]
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


def _result_rules(size: tuple[int, int], limits: Limits) -> list[BrokenRule]:
    width, height = size
    results = [
        ("/width", width, limits.side, f"be {width:,} pixels wide"),
        ("/height", height, limits.side, f"be {height:,} pixels high"),
        ("/pixels", width * height, limits.pixels, f"have {width * height:,} pixels"),
    ]
    return [
        BrokenRule(
            pointer=pointer,
            rule="maximum",
            message=f"The result would {statement}; at most {limit:,} are allowed.",
            limit=limit,
            actual=actual,
        )
        for pointer, actual, limit, statement in results
        if actual > limit
    ]
