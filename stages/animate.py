"""The animated option: every frame made small, in its time."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Literal

from stages.colour import to_srgb
from stages.decode import OpenedImage, open_image, translate_pillow_errors
from stages.decode_upright import decode_upright
from stages.depth import to_eight_bit
from stages.formats import DEFAULT_QUALITY, MEDIA_TYPES
from stages.orientation import apply_orientation
from stages.rendition import Rendition
from stages.scale import fit_size, scale

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL import Image

    from stages.limits import Limits

MAX_PLAYS = 65_535  # both formats count them in 16 bits
MAX_DURATION_MS = (
    655_350  # ms: a GIF counts hundredths of a second in 16 bits, and adds up the times of frames that are alike
)


def animate(
    original: bytes,
    *,
    edge: int,
    limits: Limits,
    format: Literal["webp", "gif"] = "webp",  # noqa: A002  the API's own word
    quality: int | None = None,
) -> Rendition:
    """Return the whole animation, its longest side `edge` pixels at most, with its frames, durations and repeats.

    Colours, orientation and metadata as in normalize. Raises the StageError that says what is wrong with a frame.
    """
    opened = open_image(original, limits=limits)
    size = fit_size(opened.display_size, edge)
    plays = _plays(opened)
    frames, durations = zip(*_frames(opened, size), strict=True)
    if sum(durations) > MAX_DURATION_MS:
        durations = tuple(min(duration, MAX_DURATION_MS // len(durations)) for duration in durations)
    options: dict[str, object] = {"quality": quality or DEFAULT_QUALITY["webp"], "loop": plays}
    if format == "gif":
        options = {} if plays == 1 else {"loop": max(0, plays - 1)}
    if any(frame.mode == "RGBA" for frame in frames):
        frames = tuple(frame if frame.mode == "RGBA" else frame.convert("RGBA") for frame in frames)
        options["disposal"] = 2  # a GIF's transparent pixel would leave the frame before showing
    content = io.BytesIO()
    frames[0].save(content, format.upper(), save_all=True, append_images=frames[1:], duration=durations, **options)
    return Rendition(content.getvalue(), format, MEDIA_TYPES[format], *size)


def _frames(opened: OpenedImage, size: tuple[int, int]) -> Iterator[tuple[Image.Image, int]]:
    """Yield each composed frame at `size`, bare, with its duration in milliseconds."""
    image, profile = opened.image, opened.image.info.get("icc_profile")
    if opened.frames == 1:
        still = decode_upright(opened, size=size).copy()  # a plain image, or Pillow would save a TIFF's other pages too
        still.info = {}
        yield still, 0
        return
    for number in range(1 if getattr(image, "default_image", False) else 0, opened.frames):
        with translate_pillow_errors(opened.limits):
            image.seek(number)
            image.load()
            frame = to_srgb(scale(apply_orientation(to_eight_bit(image), opened.orientation), size), profile).copy()
        frame.info = {}
        yield frame, round(image.info.get("duration", 0))


def _plays(opened: OpenedImage) -> int:
    """Return how often the animation is played, 0 for ever: a GIF counts its repeats, the others their plays."""
    loop = opened.image.info.get("loop")
    if opened.format == "gif":
        return 1 if loop is None else loop and min(int(loop) + 1, MAX_PLAYS)
    return min(int(loop or 0), MAX_PLAYS)
