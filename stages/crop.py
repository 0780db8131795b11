"""The crop operation: cut a box, given by numbers or by an aspect ratio, out of the displayed image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.decode import open_image
from stages.decode_upright import decode_upright
from stages.errors import BrokenRule
from stages.limits import Limits
from stages.rendition import WHITE, Rendition, broken_output_rules, raise_broken_rules, render

if TYPE_CHECKING:
    from collections.abc import Mapping


def crop(  # noqa: PLR0913  the operation's own parameters
    original: bytes,
    *,
    left: int | None = None,
    top: int | None = None,
    width: int | None = None,
    height: int | None = None,
    aspect: tuple[int, int] | None = None,
    limits: Limits,
    format: str = "auto",  # noqa: A002  the API's own word
    quality: int | None = None,
    background: str = WHITE,
) -> Rendition:
    """Cut out the box (left, top, width, height), or the largest centred box of the ratio `aspect` (width : height).

    The numbers are pixels of the upright original at full size. Raises InvalidOperation with every broken rule.
    """
    opened = open_image(original, limits=limits)
    size = opened.display_size
    numbers = {"left": left, "top": top, "width": width, "height": height}
    rules = _aspect_rules(aspect, numbers) if aspect else box_rules(numbers, size)
    raise_broken_rules(rules + broken_output_rules(format, quality, background))
    if aspect:
        box = centred_box(size, aspect)
    else:
        x, y, box_width, box_height = (value or 0 for value in numbers.values())
        box = (x, y, x + box_width, y + box_height)
    return render(decode_upright(opened, box=box), format=format, quality=quality, background=background)


def centred_box(size: tuple[int, int], aspect: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return the (left, top, right, bottom) of the largest centred box with this ratio of width to height.

    The box has the full width or the full height of `size`. Its other side is rounded to whole pixels, at least 1. If
    the margins cannot be equal, the right or bottom one is a pixel wider.
    """
    width, height = size
    aspect_width, aspect_height = aspect
    if width * aspect_height > height * aspect_width:  # the image is wider than the aspect
        width = max(1, round(height * aspect_width / aspect_height))
    else:
        height = max(1, round(width * aspect_height / aspect_width))
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    return left, top, left + width, top + height


def _aspect_rules(aspect: tuple[int, int], numbers: dict[str, int | None]) -> list[BrokenRule]:
    rules = [
        BrokenRule(pointer=f"/{name}", rule="exclusive", message=f"Give either the aspect or {name}, not both.")
        for name, value in numbers.items()
        if value is not None
    ]
    if min(aspect) < 1:
        message = f"The aspect is {aspect[0]}:{aspect[1]}; both parts must be at least 1."
        rules.append(BrokenRule(pointer="/aspect", rule="minimum", message=message, limit=1, actual=min(aspect)))
    return rules


def box_rules(numbers: Mapping[str, int | None], size: tuple[int, int]) -> list[BrokenRule]:
    """Return the rules that the box breaks: left and top lie in the image, width and height end in it, at least 1."""
    rules = []
    for name, value in numbers.items():
        start = {"width": numbers["left"], "height": numbers["top"]}.get(name)
        whole = size[0] if name in ("left", "width") else size[1]
        low, high = (0, whole - 1) if start is None and name in ("left", "top") else (1, whole - max(start or 0, 0))
        if value is None:
            rules.append(BrokenRule(pointer=f"/{name}", rule="required", message=f"The crop needs a value for {name}."))
        elif value < low:
            message = f"The crop's {name} is {value:,}; it must be at least {low}."
            rules.append(BrokenRule(pointer=f"/{name}", rule="minimum", message=message, limit=low, actual=value))
        elif value > high >= low:  # if high < low, the box starts outside the image: the rule of left or top says so
            message = f"The crop's {name} is {value:,}; it must be at most {high:,} on this image."
            rules.append(BrokenRule(pointer=f"/{name}", rule="maximum", message=message, limit=high, actual=value))
    return rules
