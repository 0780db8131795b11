"""Encoding: the last step of every stage that makes an image for a client."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image, ImageColor

from stages.errors import BrokenRule, InvalidOperation
from stages.formats import (
    MEDIA_TYPES,
    MEMORY_INTENSIVE_FORMATS,
    MEMORY_INTENSIVE_MAX_PIXELS,
    OPAQUE_FORMATS,
    OUTPUT_FORMATS,
    WEBP_SIDE,
    choose_format,
    encode,
)

WHITE = "#ffffff"
BEST_QUALITY = 100
_OPAQUE_MODE = {"RGBA": "RGB", "LA": "L"}


@dataclass(frozen=True, slots=True)
class Rendition:
    """An encoded image, its format and media type, and its size in pixels."""

    content: bytes
    format: str
    media_type: str
    width: int
    height: int


def render(
    image: Image.Image,
    *,
    format: str = "auto",  # noqa: A002  the API's own word
    quality: int | None = None,
    background: str = WHITE,
) -> Rendition:
    """Encode an L, LA, RGB or RGBA image; lay it on `background` if the format has no alpha.

    Raises InvalidOperation if the image is too large for the format.
    """
    name = choose_format(format, has_alpha=has_alpha(image), size=image.size)
    raise_broken_rules(format_rules(name, image.size))
    if name in OPAQUE_FORMATS:
        image = flatten(image, background)
    return Rendition(encode(image, name, quality), name, MEDIA_TYPES[name], image.width, image.height)


def has_alpha(image: Image.Image) -> bool:
    """Tell whether an L, LA, RGB or RGBA image has alpha."""
    return image.mode in _OPAQUE_MODE


def flatten(image: Image.Image, background: str) -> Image.Image:
    """Return the image laid on a plain colour (on its grey if the image is grey); return an opaque image as it is."""
    if not has_alpha(image):
        return image
    mode = _OPAQUE_MODE[image.mode]
    canvas = Image.new(mode, image.size, ImageColor.getcolor(background, mode))
    canvas.paste(image, mask=image)
    return canvas


def broken_output_rules(format: str, quality: int | None, background: str) -> list[BrokenRule]:  # noqa: A002
    """Return the rules that the requested output breaks; called before any pixel is decoded."""
    rules = []
    if format not in OUTPUT_FORMATS:
        message = f"The format must be one of {', '.join(OUTPUT_FORMATS)}."
        rules.append(BrokenRule(pointer="/format", rule="choice", message=message, actual=format))
    if quality is not None and not 1 <= quality <= BEST_QUALITY:
        message = f"The quality is {quality}; it must be between 1 and {BEST_QUALITY}."
        rules.append(BrokenRule(pointer="/quality", rule="range", message=message, limit=BEST_QUALITY, actual=quality))
    try:
        ImageColor.getrgb(background)
    except ValueError:
        message = "The background must be a colour, such as #ffffff."
        rules.append(BrokenRule(pointer="/background", rule="colour", message=message, actual=background[:32]))
    return rules


def format_rules(name: str, size: tuple[int, int]) -> list[BrokenRule]:
    """Return the rules that an image of this size breaks in this format."""
    longest, pixels, rules = max(size), size[0] * size[1], []
    if name == "webp" and longest > WEBP_SIDE:
        message = f"The result has a side of {longest:,} pixels; webp allows at most {WEBP_SIDE:,}."
        rules.append(BrokenRule(pointer="/format", rule="side", message=message, limit=WEBP_SIDE, actual=longest))
    if name in MEMORY_INTENSIVE_FORMATS and pixels > MEMORY_INTENSIVE_MAX_PIXELS:
        message = (
            f"The result has {pixels:,} pixels; {name} allows at most {MEMORY_INTENSIVE_MAX_PIXELS:,}. "
            "Use png for larger results."
        )
        rules.append(
            BrokenRule(
                pointer="/format", rule="pixels", message=message, limit=MEMORY_INTENSIVE_MAX_PIXELS, actual=pixels
            )
        )
    return rules


def raise_broken_rules(rules: list[BrokenRule]) -> None:
    """Raise InvalidOperation with all broken rules, if there are any."""
    if rules:
        raise InvalidOperation(" ".join(rule.message for rule in rules), errors=tuple(rules))
