"""The background of a result: what a request may write for it, and the one way in which a job stores it."""

from __future__ import annotations

import re

from PIL import ImageColor

TRANSPARENT = "#ffffff00"
"""White where the format has no alpha. Workers that do not know it take it for white."""
BACKGROUND_PATTERN = r"^(#?[0-9a-fA-F]{3,8}|rgba?\(.+\)|[a-zA-Z]+)$"
"""What all backgrounds look like. Not every text that matches is one."""
_LONGEST = 40
_HEX = re.compile(r"#?([0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})")
_LEVEL, _GAP = r"(\d{1,3}%?)", r"(?:\s*,\s*|\s+)"
_ALPHA = r"(?:\s*[,/]\s*([\d.]{1,6}%?))?"
_FUNCTION = re.compile(rf"rgba?\(\s*{_LEVEL}{_GAP}{_LEVEL}{_GAP}{_LEVEL}{_ALPHA}\s*\)", re.ASCII)
_OPAQUE, _CLEAR = 255, 0


def parse_background(text: str) -> str:
    """Return a colour as #rrggbb, or as #rrggbb00 if it is transparent.

    It may be written as in CSS: #rrggbb, #rgb (with alpha, or without the #), rgb(), a name, or `transparent`. Raises
    ValueError for anything else, and for a colour that shines through.
    """
    name = text.lower()
    if name == "transparent":
        return TRANSPARENT
    *colour, alpha = _parse_hex(name) or _parse_function(name) or _parse_name(name)
    if alpha not in (_OPAQUE, _CLEAR) or max(colour) > _OPAQUE:
        raise ValueError(text[:_LONGEST])
    return "#" + bytes(colour if alpha == _OPAQUE else (*colour, alpha)).hex()


def is_transparent(background: str) -> bool:
    """Return whether a stored background has no colour of its own."""
    return ImageColor.getcolor(background, "RGBA")[3] == _CLEAR  # type: ignore[index]


def _parse_hex(name: str) -> tuple[int, ...] | None:
    found = _HEX.fullmatch(name)
    if not found:
        return None
    digits = found[1] if len(found[1]) > 4 else "".join(2 * digit for digit in found[1])  # noqa: PLR2004  #rgb, #rgba
    return tuple(bytes.fromhex(digits.ljust(8, "f")))


def _parse_function(name: str) -> tuple[int, ...] | None:
    found = _FUNCTION.fullmatch(name[:_LONGEST])
    if not found:
        return None
    *colour, alpha = found.groups(default="1")
    return (*map(_parse_level, colour), _parse_alpha(alpha))


def _parse_level(text: str) -> int:
    return (int(text[:-1]) * 255 + 50) // 100 if text.endswith("%") else int(text)


def _parse_alpha(text: str) -> int:
    return round(255 * (float(text[:-1]) / 100 if text.endswith("%") else float(text)))


def _parse_name(name: str) -> tuple[int, ...]:
    if name not in ImageColor.colormap:
        raise ValueError(name[:_LONGEST])
    return (*ImageColor.getrgb(name), _OPAQUE)
