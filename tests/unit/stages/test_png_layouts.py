"""A PNG of every layout shows the colours of its samples, computed without a decoder of images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from random import Random

import pytest

from stages.errors import ImageTruncated
from stages.limits import Limits
from stages.normalize import normalize
from tests.support.images import build_png, chunk, pack_rows, pack_samples

Pixel = tuple[int, ...]
SIZE = (13, 7)
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}  # PNG (Third Edition), 11.2.1
LAYOUTS = [(colour, depth) for colour, depths in DEPTHS.items() for depth in depths]
PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))  # 8.1


def pixels_of(original: bytes) -> list[Pixel]:
    """Return the pixels with alpha."""
    image = normalize(original, edge=1600, limits=Limits()).image().convert("RGBA")
    assert image.size == SIZE
    return [*image.get_flattened_data()]


def samples_of(colour: int, depth: int, levels: int) -> list[list[list[int]]]:
    """Return random rows of pixels of samples below `levels`."""
    rng = Random(f"{colour}/{depth}")  # noqa: S311  the same picture each time
    return [[[rng.randrange(levels) for _ in range(CHANNELS[colour])] for _ in range(SIZE[0])] for _ in range(SIZE[1])]


def pack(samples: list[int], depth: int) -> bytes:
    """Pack the samples of a row: PNG (Third Edition), 7.2."""
    bits = "".join(format(sample, f"0{depth}b") for sample in samples)
    return bytes(int(bits[at : at + 8].ljust(8, "0"), 2) for at in range(0, len(bits), 8))


def pack_layout(rows: list[list[list[int]]], depth: int, *, interlaced: bool) -> list[bytes]:
    """Pack the samples of pixels in the order in which a PNG stores them."""
    passes = PASSES if interlaced else ((0, 0, 1, 1),)
    return [
        pack([sample for pixel in row[left::across] for sample in pixel], depth)
        for left, top, across, down in passes
        for row in rows[top::down]
        if row[left::across]
    ]


def encode_layout(colour: int, depth: int, rows: list[list[list[int]]], *before: bytes, interlaced: bool) -> bytes:
    pixels = chunk(b"IDAT", pack_rows(pack_layout(rows, depth, interlaced=interlaced)))
    return build_png(*before, pixels, size=SIZE, depth=depth, colour=colour, interlace=int(interlaced))


def expect(colour: int, depth: int, palette: Sequence[Pixel], key: list[int] | None) -> Callable[[list[int]], Pixel]:
    """Return what makes an RGBA pixel of samples."""

    def expected(samples: list[int]) -> Pixel:
        if colour == 3:
            return palette[samples[0]]
        levels = [round(sample * 255 / ((1 << depth) - 1)) for sample in samples]
        alpha = levels.pop() if colour in (4, 6) else 0 if samples == key else 255
        return (*(levels * 3 if len(levels) == 1 else levels), alpha)

    return expected


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("has_key", [False, True])
@pytest.mark.parametrize(("colour", "depth"), LAYOUTS)
def test_every_layout_of_pixels_is_decoded(colour: int, depth: int, *, has_key: bool, interlaced: bool) -> None:
    levels, rounding = 1 << depth, int(depth == 16)
    rows = samples_of(colour, depth, levels)
    rows[3][4] = [sample ^ 1 for sample in rows[2][3]]  # like the transparent colour but for the last bit
    palette = [(at, 255 - at, at // 2, at * 37 & 255 if has_key else 255) for at in range(levels if colour == 3 else 0)]
    before = [chunk(b"PLTE", bytes(level for entry in palette for level in entry[:3]))] if palette else []
    if has_key and colour in (0, 2, 3):
        before.append(chunk(b"tRNS", bytes(entry[3] for entry in palette) or pack_samples(*rows[2][3])))

    found = pixels_of(encode_layout(colour, depth, rows, *before, interlaced=interlaced))

    to_pixel = expect(colour, depth, palette, rows[2][3] if has_key else None)
    for pixel, expected in zip(found, map(to_pixel, chain.from_iterable(rows)), strict=True):
        assert pixel[3] == pytest.approx(expected[3], abs=rounding)
        assert not pixel[3] or pixel == pytest.approx(expected, abs=rounding)


@pytest.mark.parametrize(("colour", "depth"), [(0, 1), (0, 2), (0, 8), (2, 8)])
def test_bits_of_the_transparent_colour_above_the_depth_are_ignored(colour: int, depth: int) -> None:
    rows = samples_of(colour, depth, 1 << depth)
    key, high = rows[0][0], 0x100

    assert pixels_of(
        encode_layout(colour, depth, rows, chunk(b"tRNS", pack_samples(*(high | at for at in key))), interlaced=False)
    ) == pixels_of(encode_layout(colour, depth, rows, chunk(b"tRNS", pack_samples(*key)), interlaced=False))


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 1), (1, 5), (5, 1), (3, 3), (5, 4), (9, 10)])
@pytest.mark.parametrize("sample", [0, 145, 255])
def test_pixels_are_complete_or_missed_whatever_they_are(
    size: tuple[int, int], sample: int, *, interlaced: bool
) -> None:
    lines = pack_layout([[[sample]] * size[0]] * size[1], 8, interlaced=interlaced)

    def encode(lines: list[bytes]) -> bytes:
        pixels = chunk(b"IDAT", pack_rows(lines) + b"rubbish behind them")
        return build_png(pixels, size=size, colour=0, interlace=int(interlaced))

    assert normalize(encode(lines), edge=16, limits=Limits()).pixels == bytes((sample,)) * 3 * size[0] * size[1]
    with pytest.raises(ImageTruncated):
        normalize(encode(lines[:-1]), edge=16, limits=Limits())


@pytest.mark.parametrize("depth", [1, 2, 4])
@pytest.mark.parametrize("key", [0, 1])
def test_a_transparent_grey_that_the_depth_does_not_have_is_no_pixels(depth: int, key: int) -> None:
    rows = samples_of(0, depth, 1 << depth)

    original = encode_layout(0, depth, rows, chunk(b"tRNS", pack_samples(key | 1 << depth)), interlaced=False)

    assert {pixel[3] for pixel in pixels_of(original)} == {255}  # as Chromium 156 and libvips show it
