"""The limits on an original, and the checks that enforce them before any pixel is decoded."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

from stages.errors import BrokenRule, ImageCorrupt, ImageTooLarge, TooManyFrames


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """The largest original that is accepted.

    `pixels` is width x height of a still image, `animation_pixels` is width x height x frames, `side` is the longest
    side in pixels. `frames` and `animation_pixels` are for animated previews: all others use the first frame only.
    """

    upload_bytes: int = 25 * 1024 * 1024
    pixels: int = 50_000_000
    animation_pixels: int = 100_000_000
    frames: int = 200
    side: int = 16_384

    def for_first_frame(self) -> Limits:
        """Return the limits on an original of which only the first frame is decoded."""
        return replace(self, frames=sys.maxsize, animation_pixels=sys.maxsize)

    def raised_to(self, others: Mapping[str, int]) -> Limits:
        """Return the higher one of each limit and of the `others`, by their names. Unknown names are ignored."""
        return Limits(**{name: max(limit, others.get(name, 0)) for name, limit in asdict(self).items()})


def check_dimensions(width: int, height: int, limits: Limits) -> None:
    """Raise ImageTooLarge, with every broken limit, unless width x height pixels are within the limits.

    Raises ImageCorrupt for a side under 1 pixel.
    """
    if width < 1 or height < 1:
        message = f"The image is {width} x {height} pixels; both sides must be at least 1."
        raise ImageCorrupt(message)
    broken = [
        *_over("/width", "side", width, limits.side, "is {:,} pixels wide"),
        *_over("/height", "side", height, limits.side, "is {:,} pixels high"),
        *_over("/pixels", "pixels", width * height, limits.pixels, "has {:,} pixels"),
    ]
    if broken:
        raise ImageTooLarge(broken[0].message, errors=tuple(broken))


def check_pixels(decoded: int, limit: int) -> None:
    """Raise ImageTooLarge unless all pixels that a decoder would decode, shown or not, are within the limit."""
    if broken := _over("/pixels", "pixels", decoded, limit, "has {:,} pixels in all its parts together"):
        raise ImageTooLarge(broken[0].message, errors=tuple(broken))


def check_frames(frames: int, width: int, height: int, limits: Limits) -> None:
    """Raise TooManyFrames or ImageTooLarge unless the whole animation is within the limits."""
    if broken := _over("/frames", "frames", frames, limits.frames, "has {:,} frames"):
        raise TooManyFrames(broken[0].message, errors=tuple(broken))
    if frames < 2:  # noqa: PLR2004  a still image
        return
    pixels = width * height * frames
    statement = "has {:,} pixels in all its frames together"
    if broken := _over("/pixels", "animation_pixels", pixels, limits.animation_pixels, statement):
        raise ImageTooLarge(broken[0].message, errors=tuple(broken))


def result_rules(size: tuple[int, int], limits: Limits) -> list[BrokenRule]:
    """Return the limits that a result of this width and height in pixels would break."""
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


def _over(pointer: str, rule: str, actual: int, limit: int, statement: str) -> list[BrokenRule]:
    if actual <= limit:
        return []
    message = f"The image {statement.format(actual)}; at most {limit:,} are allowed."
    return [BrokenRule(pointer=pointer, rule=rule, message=message, limit=limit, actual=actual)]
