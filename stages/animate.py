"""The `animated` option: scale every frame of an animation down, and keep its timing."""

from __future__ import annotations

import io
import struct
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Literal

from stages.colour.convert import to_srgb
from stages.decode import OpenedImage, open_image, translate_pillow_errors
from stages.decode_upright import decode_upright
from stages.depth import to_eight_bit
from stages.formats import DEFAULT_QUALITY, MEDIA_TYPES
from stages.orientation import apply_orientation
from stages.rendition import Rendition
from stages.scale import fit_size, scale
from stages.system_errors import reveal_system_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL import Image

    from stages.limits import Limits

MAX_PLAYS = 65_535  # both formats store the number in 16 bits
MAX_GIF_DURATION_MS = 655_350  # 16 bits for hundredths of a second
MAX_WEBP_DURATION_MS = 2**24 - 1
MAX_WEBP_TOTAL_MS = 2**31 - 1  # its encoder counts from the first frame
# Chromium plays a frame of at most 10 ms for 100, in all four formats (measured). As a GIF, 20 ms is its fastest.
_TOO_SHORT_MS, _PLAYED_MS, _MIN_GIF_DURATION_MS = 10, 100, 20


def animate(
    original: bytes,
    *,
    edge: int,
    limits: Limits,
    format: Literal["webp", "gif"] = "webp",  # noqa: A002  the API's own word
    quality: int | None = None,
) -> Rendition:
    """Return the animation with all frames, durations and repeats, its longest side at most `edge` pixels.

    Colours, orientation and metadata are handled as in normalize. Raises the StageError that says why a frame cannot
    be decoded.
    """
    frames, durations, plays = _decode(original, edge, limits)
    size = frames[0].size
    options: dict[str, object] = {"quality": quality or DEFAULT_QUALITY["webp"], "loop": plays}
    if format == "gif":
        options = {} if plays == 1 else {"loop": max(0, plays - 1)}
    if any(frame.mode == "RGBA" for frame in frames):
        for number, frame in enumerate(frames):  # one by one: two lists would need twice the memory
            frames[number] = frame if frame.mode == "RGBA" else frame.convert("RGBA")
        options["disposal"] = 2  # else the previous frame shows through the transparent pixels of a GIF
    content = _encode_gif(frames, durations, options) if format == "gif" else _encode_webp(frames, durations, options)
    return Rendition(content, format, MEDIA_TYPES[format], *size)


def _encode_webp(frames: list[Image.Image], durations: list[int], options: dict[str, object]) -> bytes:
    longest = min(MAX_WEBP_DURATION_MS, MAX_WEBP_TOTAL_MS // len(durations))
    return _encode("webp", frames, [min(duration, longest) for duration in durations], options)


def _encode_gif(frames: list[Image.Image], durations: list[int], options: dict[str, object]) -> bytes:
    durations = [min(duration, MAX_GIF_DURATION_MS) for duration in _to_hundredths(durations)]
    try:
        return _encode("gif", frames, durations, options)
    except (OverflowError, struct.error):  # Pillow makes one frame of equal ones, and adds up their durations
        longest = MAX_GIF_DURATION_MS // len(durations)
        return _encode("gif", frames, [min(duration, longest) for duration in durations], options)


def _to_hundredths(durations: list[int]) -> list[int]:
    """Round the end of each frame, not its duration: the animation as a whole keeps its speed."""
    ends = [0, *((end + 5) // 10 * 10 for end in accumulate(durations))]
    return [max(end - start, _MIN_GIF_DURATION_MS) for start, end in pairwise(ends)]


def _encode(format: str, frames: list[Image.Image], durations: list[int], options: dict[str, object]) -> bytes:  # noqa: A002
    content = io.BytesIO()
    with reveal_system_errors():
        frames[0].save(content, format.upper(), save_all=True, append_images=frames[1:], duration=durations, **options)
    return content.getvalue()


def _decode(original: bytes, edge: int, limits: Limits) -> tuple[list[Image.Image], list[int], int]:
    """Return the frames, their durations in milliseconds and the number of plays; the decoder ends with this call."""
    opened = open_image(original, limits=limits, all_frames=True)
    plays = _plays(opened)
    frames, durations = zip(*_frames(opened, fit_size(opened.display_size, edge)), strict=True)
    return list(frames), list(durations), plays


def _frames(opened: OpenedImage, size: tuple[int, int]) -> Iterator[tuple[Image.Image, int]]:
    """Yield each composed frame at `size`, without metadata, and for how many milliseconds a browser shows it."""
    image = opened.image
    if opened.frames == 1:
        still = decode_upright(opened, size=size).copy()  # a plain Image: of a TIFF, Pillow would save all pages
        still.info = {}
        yield still, 0
        return
    for number in range(opened.frames):
        with translate_pillow_errors(opened.limits):
            image.seek(number)
            image.load()
            pixels = scale(apply_orientation(to_eight_bit(image), opened.orientation), size)
            # The next frame may build on the pixels of this one: they must not be converted in place.
            frame = to_srgb(pixels.copy() if pixels is image else pixels, opened.colour_space)
        frame.info = {}
        duration = image.info.get("duration", 0)
        yield frame, round(duration) if duration > _TOO_SHORT_MS else _PLAYED_MS


def _plays(opened: OpenedImage) -> int:
    """Return how many times the animation plays, 0 for endlessly: a GIF stores its repeats, other formats the plays."""
    loop = opened.image.info.get("loop")
    if opened.format == "gif":
        return 1 if loop is None else loop and min(int(loop) + 1, MAX_PLAYS)
    return min(int(loop or 0), MAX_PLAYS)
