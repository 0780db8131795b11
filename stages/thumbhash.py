"""ThumbHash: some 25 bytes that a page draws as a blur, with the transparency and the aspect ratio of the image.

The reference implementation defines the format: https://evanw.github.io/thumbhash/. Its bindings have no build for
arm64, and the encoders written in Python take milliseconds. This one transforms rows, then columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import cos, floor, pi
from operator import mul

from PIL import Image

MAX_SIDE = 100
OPAQUE = 255
CHROMA_WAVES = 3
Field = tuple[float, int]
"""A number and its size in bits."""


@dataclass(frozen=True, slots=True)
class _Channel:
    """A plane as its mean, the amplitude of its strongest wave, and each wave as a share of that (-1 to 1)."""

    mean: float
    scale: float
    waves: Sequence[float]


def encode_thumbhash(image: Image.Image) -> bytes:
    """Return the ThumbHash of an RGB or RGBA image (straight alpha) of 1 to MAX_SIDE pixels a side."""
    width, height = image.size
    alpha = _alpha_of(image)
    max_waves = 5 if alpha else 7  # with alpha, there are fewer bytes for the brightness
    columns, rows = (max(1, _round(max_waves * side / max(image.size))) for side in image.size)
    planes = _split_colours(_fill_transparent(image, alpha))
    brightness = _transform(planes[0], width, max(CHROMA_WAVES, columns), max(CHROMA_WAVES, rows))
    yellowness, redness = (_transform(plane, width, CHROMA_WAVES, CHROMA_WAVES) for plane in planes[1:])
    channels = [brightness, yellowness, redness]
    fields: list[Field] = [
        (63 * brightness.mean, 6),
        (31.5 + 31.5 * yellowness.mean, 6),
        (31.5 + 31.5 * redness.mean, 6),
        (31 * brightness.scale, 5),
        (alpha is not None, 1),
        (rows if width > height else columns, 3),
        (63 * yellowness.scale, 6),
        (63 * redness.scale, 6),
        (width > height, 1),
    ]
    if alpha:
        opacity = _transform(alpha, width, max_waves, max_waves)
        channels.append(opacity)
        fields += [(15 * opacity.mean, 4), (15 * opacity.scale, 4)]
    fields += [(7.5 + 7.5 * wave, 4) for channel in channels for wave in channel.waves]
    return _pack(fields)


def _alpha_of(image: Image.Image) -> bytes | None:
    """Return the alpha of each pixel, or None if all are opaque."""
    alpha = image.getchannel("A").tobytes() if image.mode == "RGBA" else b""
    return alpha if alpha and min(alpha) < OPAQUE else None


def _fill_transparent(image: Image.Image, alpha: bytes | None) -> list[Sequence[float]]:
    """Return red, green and blue, laid on the mean of each, where each pixel is weighted by its alpha."""
    bands = [band.tobytes() for band in image.split()[:3]]
    if alpha is None:
        return list(bands)
    weight = sum(alpha) or 1
    means = [sum(map(mul, band, alpha)) / weight for band in bands]
    return [
        [mean + (value - mean) * opacity / OPAQUE for value, opacity in zip(band, alpha, strict=True)]
        for band, mean in zip(bands, means, strict=True)
    ]


def _split_colours(bands: Iterable[Sequence[float]]) -> tuple[list[float], list[float], list[float]]:
    """Return how bright (0 to OPAQUE), how yellow rather than blue, and how red rather than green each pixel is."""
    red, green, blue = bands
    return (
        [(r + g + b) / 3 for r, g, b in zip(red, green, blue, strict=True)],
        [(r + g) / 2 - b for r, g, b in zip(red, green, blue, strict=True)],
        [r - g for r, g in zip(red, green, strict=True)],
    )


def _transform(plane: Sequence[float], width: int, columns: int, rows: int) -> _Channel:
    """Transform values of up to OPAQUE by the cosine transform (DCT-II), and keep the longer half of the waves."""
    lines = [plane[start : start + width] for start in range(0, len(plane), width)]
    sums = [[sum(map(mul, line, wave)) for line in lines] for wave in _cosines(width, columns)]
    mean, *waves = (
        sum(map(mul, sums[column], wave)) / (len(plane) * OPAQUE)
        for row, wave in enumerate(_cosines(len(lines), rows))
        for column in range(columns)
        if column * rows < columns * (rows - row)
    )
    scale = max(map(abs, waves))
    return _Channel(mean, scale, [wave / (scale or 1) for wave in waves])


@lru_cache(MAX_SIDE)
def _cosines(length: int, waves: int) -> list[list[float]]:
    return [[cos(pi / length * wave * (place + 0.5)) for place in range(length)] for wave in range(waves)]


def _pack(fields: Iterable[Field]) -> bytes:
    """Put rounded numbers behind each other, the lowest bit of the first byte first."""
    packed = size = 0
    for number, bits in fields:
        packed |= _round(number) << size
        size += bits
    return packed.to_bytes((size + 7) // 8, "little")


def _round(number: float) -> int:
    """Round halves up, as the reference does; `round` would take the even neighbour."""
    return floor(number + 0.5)
