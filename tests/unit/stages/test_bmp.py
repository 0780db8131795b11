"""A BMP of any kind that a browser shows is decoded, pixel by pixel as in Chromium 156 where nothing else is said."""

from __future__ import annotations

from random import Random

import pytest
from PIL import Image

from stages.decode import open_image
from stages.decode_upright import decode_upright
from stages.errors import ImageTruncated, StageError, UnsupportedFormat
from stages.limits import Limits
from stages.validate import validate
from tests.support.bmps import MASKS_32, bmp, pack_rows

LIMITS = Limits()
SIZE = (9, 6)
ALPHA = 0xFF000000
# Colours 1 to 7 have letters; 0 is a colour too, so that it is no black.
PALETTE = [(90, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 0, 255), (0, 255, 255), (0, 0, 0)]
LETTERS = dict(zip(PALETTE, "0RGBYMCk", strict=True))


def decode(original: bytes) -> Image.Image:
    return decode_upright(open_image(original, limits=LIMITS))


def draw(original: bytes) -> str:
    """Write an image of the colours of PALETTE as letters."""
    image = decode(original)
    assert image.mode == "RGB"
    raw = image.tobytes()
    letters = "".join(LETTERS[raw[at], raw[at + 1], raw[at + 2]] for at in range(0, len(raw), 3))
    return "/".join(letters[start : start + image.width] for start in range(0, len(letters), image.width))


def numbers(bits: int, size: tuple[int, int] = SIZE) -> list[list[int]]:
    """Return numbers of so many bits at random, the same each time."""
    rng = Random(bits)  # noqa: S311
    return [[rng.getrandbits(bits) for _ in range(size[0])] for _ in range(size[1])]


def level(number: int, mask: int, fallback: int) -> int:
    """Return a channel at 8 bits: rounded from fewer, cut from more."""
    if not mask:
        return fallback
    low = (mask & -mask).bit_length() - 1
    value, width = (number & mask) >> low, mask.bit_count()
    return value >> width - 8 if width > 8 else round(value * 255 / ((1 << width) - 1))


def seen(rows: list[list[int]], masks: tuple[int, int, int, int]) -> list[tuple[int, ...]]:
    """Return the pixels from the top left, of rows from the bottom."""
    fallbacks = (0, 0, 0, 255)
    return [
        tuple(level(number, mask, fallback) for mask, fallback in zip(masks, fallbacks, strict=True))
        for row in reversed(rows)
        for number in row
    ]


def pixels_of(image: Image.Image) -> list[tuple[int, ...]]:
    raw = image.convert("RGBA").tobytes()
    return [tuple(raw[at : at + 4]) for at in range(0, len(raw), 4)]


@pytest.mark.parametrize(
    ("bits", "masks"),
    [
        (16, (0x7C00, 0x3E0, 0x1F, 0)),
        (16, (0xF800, 0x7E0, 0x1F, 0)),
        (16, (0xF00, 0xF0, 0xF, 0)),
        (16, (0xF00, 0xF0, 0xF, 0xF000)),
        (16, (0x7C00, 0x3E0, 0x1F, 0x8000)),
        (16, (0xF800, 0x7C0, 0x3E, 1)),
        (16, (0x30, 0xE, 1, 0)),
        (16, (0xE000, 0x1FF8, 7, 0)),
        (16, (0xFF00, 0xFF, 0, 0)),
        (32, (0xFF0000, 0xFF00, 0xFF, 0)),
        (32, (0xFF, 0xFF00, 0xFF0000, 0)),
        (32, (0xFF000000, 0xFF0000, 0xFF00, 0)),
        (32, (0xFF0000, 0xFF00, 0xFF, ALPHA)),
        (32, (0xFF, 0xFF00, 0xFF0000, ALPHA)),
        (32, (0xFF000000, 0xFF0000, 0xFF00, 0xFF)),
        (32, (0xFFE00000, 0x1FFC00, 0x3FF, 0)),
        (32, (0x3FF00000, 0xFFC00, 0x3FF, 0xC0000000)),
        (32, (0xFF000000, 0xFFF000, 0xFF0, 0xF)),
        (32, (0xFFFFFFFF, 0, 0xFFFF, 0)),
    ],
)
def test_any_masks_are_obeyed(bits: int, masks: tuple[int, int, int, int]) -> None:
    rows = numbers(bits)
    expected = seen(rows, masks)
    versions = [
        bmp(SIZE, bits, pack_rows(rows, bits), header=header, coding=3, masks=masks) for header in (56, 108, 124)
    ]
    versions.append(bmp(SIZE, bits, pack_rows(rows, bits), coding=6, masks=masks))
    if not masks[3]:
        versions += [
            bmp(SIZE, bits, pack_rows(rows, bits), header=size, coding=3, masks=masks[:3]) for size in (40, 52)
        ]

    for original in versions:
        for found, pixel in zip(pixels_of(decode(original)), expected, strict=True):
            assert found == pytest.approx(pixel, abs=1)


@pytest.mark.parametrize("height", [1000, -1000])
def test_rows_are_taken_apart_in_pieces_and_may_run_down(height: int) -> None:
    masks = (0xF00, 0xF0, 0xF, 0xF000)
    rows = numbers(16, (600, 1000))

    image = decode(bmp((600, height), 16, pack_rows(rows, 16), coding=6, masks=masks))

    for y in (0, 436, 437, 563, 564, 999):
        row = rows[y] if height < 0 else rows[999 - y]
        assert pixels_of(image.crop((0, y, 600, y + 1))) == seen([row], masks)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_indices_of_any_width_have_the_colours_of_the_palette(bits: int) -> None:
    rows = numbers(min(bits, 3), (9, 2))
    expected = "/".join("".join("0RGBYMCk"[index] for index in row) for row in reversed(rows))
    packed, palette = pack_rows(rows, bits), PALETTE[: 1 << bits]

    plain = bmp((9, 2), bits, packed, palette=palette, colours=len(palette))
    full = [*palette, *[(1, 2, 3)] * ((1 << bits) - len(palette))]
    assert draw(plain) == expected
    assert draw(bmp((9, 2), bits, packed, palette=palette, colours=len(palette), gap=33)) == expected
    assert draw(bmp((9, 2), bits, packed, palette=[*full, (4, 5, 6)], colours=len(full) + 1)) == expected
    for header in (12, 16, 24, 40, 48, 64, 108, 124):
        assert draw(bmp((9, 2), bits, packed, header=header, palette=full)) == expected


def test_a_colour_that_the_palette_lacks_is_black() -> None:
    for greys in (False, True):  # Pillow takes greys in their order for a plain grey image
        palette = [(0, 0, 0), (1, 1, 1)] if greys else PALETTE[:2]
        found = decode(bmp((3, 1), 8, pack_rows([[1, 2, 255]], 8), palette=palette, colours=2))

        assert pixels_of(found) == [(*palette[1], 255), (0, 0, 0, 255), (0, 0, 0, 255)]


@pytest.mark.parametrize(("palette", "mode"), [([(grey,) * 3 for grey in range(256)], "L"), (PALETTE, "P")])
def test_grey_levels_are_no_palette(palette: list[tuple[int, int, int]], mode: str) -> None:
    assert validate(bmp((3, 1), 8, bytes(4), palette=palette, colours=len(palette)), limits=LIMITS).mode == mode


@pytest.mark.parametrize("coding", [3, 6])
@pytest.mark.parametrize(("bits", "masks"), [(32, (*MASKS_32, ALPHA)), (16, (0x7C00, 0x3E0, 0x1F, 0x8000))])
def test_alpha_that_is_zero_everywhere_is_none(bits: int, masks: tuple[int, ...], coding: int) -> None:
    rows = [[number & ~masks[3] for number in row] for row in numbers(bits)]
    original = bmp(SIZE, bits, pack_rows(rows, bits), header=108, coding=coding, masks=masks)
    rows[2][3] |= masks[3]
    other = bmp(SIZE, bits, pack_rows(rows, bits), header=108, coding=coding, masks=masks)

    assert decode(original).mode == "RGB"
    assert [alpha for *_, alpha in pixels_of(decode(other))].count(0) == 53


@pytest.mark.parametrize(
    ("header", "masks", "mode"), [(124, ALPHA, "RGBA"), (124, 0, "RGB"), (56, ALPHA, "RGB"), (40, 0, "RGB")]
)
def test_pixels_without_masks_have_alpha_if_a_header_with_a_colour_space_says_so(
    header: int, masks: int, mode: str
) -> None:
    stated = (*MASKS_32, masks) if header > 40 else ()

    assert decode(bmp(SIZE, 32, pack_rows(numbers(32), 32), header=header, masks=stated)).mode == mode


RUNS = {  # the pixels that they leave out are black
    "runs and pixels": (8, b"\3\5\0\0\0\3\1\2\3\0\2\4\0\1", "kkkkk/RGBYY/MMMkk"),
    "a run that is too long": (8, b"\x20\5\0\0\5\6\0\1", "kkkkk/CCCCC/MMMMM"),
    "pixels that are too many": (8, b"\0\x07\1\2\3\4\5\6\7\0\0\0\5\6\0\1", "kkkkk/CCCCC/RGBYM"),
    "a row without an end": (8, b"\5\6\5\4\0\1", "kkkkk/kkkkk/CCCCC"),
    "an early end": (8, b"\3\5\0\1", "kkkkk/kkkkk/MMMkk"),
    "moves": (8, b"\1\5\0\2\2\1\2\6\0\0\0\2\1\0\1\1\0\1", "kRkkk/kkkCC/Mkkkk"),
    "a move out of the row": (8, b"\1\5\0\2\x20\1\2\6\0\1", "kkkkk/kkkkk/Mkkkk"),
    "a move out of the image": (8, b"\1\5\0\2\1\x20\2\6\0\1", "kkkkk/kkkkk/Mkkkk"),
    "no end after the last pixel": (8, b"\5\6\0\0\5\5\0\0\5\4", "YYYYY/MMMMM/CCCCC"),
    "half bytes": (4, b"\5\x12\0\0\0\5\x12\x34\x50\0\0\0\3\x66\0\1", "CCCkk/RGBYM/RGRGR"),
    "half bytes of an odd count": (4, b"\0\3\x12\x30\2\x45\0\0\1\x66\0\1", "kkkkk/Ckkkk/RGBYM"),
}


@pytest.mark.parametrize(("bits", "runs", "expected"), RUNS.values(), ids=RUNS)
def test_runs_are_drawn(bits: int, runs: bytes, expected: str) -> None:
    coding = {8: 1, 4: 2}[bits]

    assert draw(bmp((5, 3), bits, runs, coding=coding, palette=PALETTE, colours=8)) == expected
    upside_down = bmp((5, -3), bits, runs, coding=coding, palette=PALETTE, colours=8)
    assert draw(upside_down) == "/".join(expected.split("/")[::-1])


def test_runs_of_colours_are_drawn_in_os2() -> None:
    runs = b"\3\0\0\xff\0\0\0\3\xff\0\0\0\xff\0\0\xff\xff\0\1\xff\xff\0\0\2\1\0\0\1"

    assert draw(bmp((5, 2), 24, runs, coding=4, header=64)) == "BGYCk/RRRkk"


@pytest.mark.parametrize("bits", [1, 4, 8, 16, 24])
def test_the_last_row_needs_no_padding(bits: int) -> None:
    rows, palette = numbers(min(bits, 3), (5, 2)), PALETTE if bits < 16 else None
    if bits > 8:
        rows = numbers(bits, (5, 2))
    packed = pack_rows(rows, bits)
    whole = bmp((5, 2), bits, packed, palette=palette and palette[: 1 << bits], colours=8 if bits > 2 else 2)
    padding = -((5 * bits + 7) // 8) % 4

    assert padding
    assert decode(whole[:-padding]).tobytes() == decode(whole).tobytes()
    with pytest.raises(ImageTruncated):
        validate(whole[: -padding - 1], limits=LIMITS)


@pytest.mark.parametrize("runs", [b"\3\5", b"\5\5\0\0\5\5\0\0\4\5", b"\0\5\1\2", b"\0\2\1", b""])
def test_runs_that_stop_before_the_last_pixel_are_truncated(runs: bytes) -> None:
    with pytest.raises(StageError) as refusal:
        decode(bmp((5, 3), 8, runs, coding=1, palette=PALETTE, colours=8))

    assert refusal.value.code == "image_truncated"


@pytest.mark.parametrize(
    ("bits", "coding", "header", "masks"),
    [
        (24, 4, 40, ()),  # a JPEG
        (24, 5, 40, ()),  # a PNG
        (0, 4, 124, ()),
        (1, 3, 64, ()),  # Huffman
        (3, 0, 40, ()),
        (64, 0, 40, ()),
        (8, 3, 40, (1, 2, 4)),
        (4, 1, 40, ()),
        (8, 2, 40, ()),
        (24, 3, 40, (0xFF, 0xFF00, 0xFF0000)),
        (32, 3, 40, (0xF0F0000, 0xFF00, 0xFF)),
        (16, 3, 40, (0xFF0000, 0x7E0, 0x1F)),
        (32, 11, 40, ()),
        (24, 0, 41, ()),
    ],
)  # fmt: skip
def test_kinds_that_browsers_do_not_show_are_refused_by_their_kind(
    bits: int, coding: int, header: int, masks: tuple[int, ...]
) -> None:
    with pytest.raises(UnsupportedFormat):
        validate(bmp((2, 2), bits, bytes(999), coding=coding, header=header, masks=masks), limits=LIMITS)


def test_many_pixels_without_runs_are_few_parts() -> None:
    literal = b"\0\xfe" + bytes(254) + b"\0\0"
    many = bmp((254, 17_000), 8, literal * 17_000 + b"\0\1", coding=1, palette=PALETTE, colours=8)

    assert validate(many, limits=Limits(side=20_000)).height == 17_000
