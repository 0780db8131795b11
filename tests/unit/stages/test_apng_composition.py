"""The frames of an animated PNG are composed as the specification says: an independent composition is the judge."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from random import Random
from typing import NamedTuple

import pytest

from stages.depth import to_eight_bit
from tests.support.apng import ApngFrame, build_apng, plain_frame
from tests.support.images import chunk, pack_samples
from tests.unit.stages.frames import decode_frames

Colour = tuple[float, ...]  # red, green, blue and alpha, all up to 1
SIZE = (6, 5)
CLEAR: Colour = (0.0, 0.0, 0.0, 0.0)
PALETTE = [(9, 9, 9, 0), (255, 0, 0, 255), (0, 255, 0, 128), (0, 0, 255, 255)]


def composed(original: bytes) -> list[list[Colour]]:
    """Return the pixels of each frame as they are shown."""
    images = [to_eight_bit(image).convert("RGBA") for image in decode_frames(original)]
    return [[tuple(level / 255 for level in pixel) for pixel in image.get_flattened_data()] for image in images]  # type: ignore[union-attr]


def compose(frames: list[ApngFrame], pictures: list[list[Colour]]) -> list[list[Colour]]:
    """Compose frames as W3C PNG (Third Edition), 11.3.6.2, says, pixel by pixel."""
    canvas: list[Colour] = [CLEAR] * (SIZE[0] * SIZE[1])
    shown = []
    for number, (frame, picture) in enumerate(zip(frames, pictures, strict=True)):
        before = [*canvas]
        (width, height), (left, top) = frame.size, frame.place
        places = [SIZE[0] * (top + row) + left + column for row, column in product(range(height), range(width))]
        for place, colour in zip(places, picture, strict=True):
            canvas[place] = _lay_over(canvas[place], colour) if frame.blend else colour
        shown.append([*canvas])
        if frame.disposal == 1 or (frame.disposal == 2 and not number):
            for place in places:
                canvas[place] = CLEAR
        elif frame.disposal == 2:
            canvas = before
    return shown


def _lay_over(below: Colour, above: Colour) -> Colour:
    """Lay a colour with straight alpha on another: PNG (Third Edition), 13.16."""
    alpha = above[3] + below[3] * (1 - above[3])
    if not alpha:
        return CLEAR
    mixed = [
        (high * above[3] + low * below[3] * (1 - above[3])) / alpha for low, high in zip(below, above, strict=True)
    ]
    return (*mixed[:3], alpha)


def premultiplied(frames: list[list[Colour]]) -> list[float]:
    """Return the levels of what is seen: the colour of a transparent pixel is not."""
    return [255 * level * pixel[3] for frame in frames for pixel in frame for level in (*pixel[:3], 1)]


def draw_frames(operations: list[tuple[int, int]], sample_bytes: int, levels: int, *, covers: bool) -> list[ApngFrame]:
    """Return frames of random pixels, sizes and places; the first one has all of the canvas if it `covers` it."""
    rng, frames = Random(f"{operations}/{sample_bytes}/{levels}/{covers}"), []  # noqa: S311  the same each time
    for number, (disposal, blend) in enumerate(operations):
        size = SIZE if covers and not number else (rng.randint(1, SIZE[0]), rng.randint(1, SIZE[1]))
        place = (rng.randint(0, SIZE[0] - size[0]), rng.randint(0, SIZE[1] - size[1]))
        choices = [(0, levels - 1, rng.randrange(levels)) for _ in range(size[0] * sample_bytes * size[1])]
        samples = bytes(rng.choice(choice) for choice in choices)
        rows = [samples[at :: size[1]] for at in range(size[1])]
        frames.append(ApngFrame(rows, size, place, disposal=disposal, blend=blend))
    return frames


OPERATIONS = [[first, second, (0, 1)] for first, second in product(product(range(3), range(2)), repeat=2)]


@pytest.mark.parametrize("covers", [True, False])
@pytest.mark.parametrize("operations", OPERATIONS)
def test_every_disposal_and_blending_is_composed(operations: list[tuple[int, int]], *, covers: bool) -> None:
    frames = draw_frames(operations, 4, 256, covers=covers)
    default = None if covers else plain_frame((0, 0, 0, 255), SIZE)

    found = composed(build_apng(frames, default=default, size=SIZE))

    pictures = [
        [tuple(level / 255 for level in row[at : at + 4]) for row in frame.rows for at in range(0, len(row), 4)]
        for frame in frames
    ]
    assert premultiplied(found) == pytest.approx(premultiplied(compose(frames, pictures)), abs=1.1)


def _of_palette(row: bytes) -> list[Colour]:
    return [tuple(level / 255 for level in PALETTE[number]) for number in row]


def _of_grey(row: bytes) -> list[Colour]:
    return [(level / 255,) * 3 + (float(level != 7),) for level in row]


def _of_words(row: bytes) -> list[Colour]:
    words = [int.from_bytes(row[at : at + 2]) for at in range(0, len(row), 2)]
    return [
        (*(word / 65_535 for word in words[at : at + 3]), float(words[at : at + 3] != [0, 0, 0]))
        for at in range(0, len(words), 3)
    ]


class Layout(NamedTuple):
    """A colour type and a depth, the chunks that belong to it, and how to read a row of it."""

    colour: int
    depth: int
    pixel_bytes: int
    levels: int
    header: bytes
    read: Callable[[bytes], list[Colour]]


PALETTE_CHUNKS = chunk(b"PLTE", b"".join(bytes(entry[:3]) for entry in PALETTE)), chunk(b"tRNS", b"\0\xff\x80")
LAYOUTS = {
    "palette": Layout(3, 8, 1, 4, b"".join(PALETTE_CHUNKS), _of_palette),
    "grey": Layout(0, 8, 1, 8, chunk(b"tRNS", pack_samples(7)), _of_grey),
    "16-bit": Layout(2, 16, 6, 256, chunk(b"tRNS", pack_samples(0, 0, 0)), _of_words),
}


@pytest.mark.parametrize("operations", OPERATIONS[::5])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_every_layout_of_pixels_is_composed(operations: list[tuple[int, int]], layout: Layout) -> None:
    frames = draw_frames(operations, layout.pixel_bytes, layout.levels, covers=True)

    found = composed(build_apng(frames, layout.header, size=SIZE, depth=layout.depth, colour=layout.colour))

    pictures = [[pixel for row in frame.rows for pixel in layout.read(row)] for frame in frames]
    assert premultiplied(found) == pytest.approx(premultiplied(compose(frames, pictures)), abs=1.1)
