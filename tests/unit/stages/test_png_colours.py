"""A PNG is shown in the colours that its chunks state: the expected pixels are those of Chromium 156."""

from __future__ import annotations

import struct
import zlib

import pytest

from stages.decode import open_image
from stages.limits import Limits
from stages.normalize import normalize
from tests.support.images import chunk, grey_profile, pack_samples, png, rgb_profile

PALETTE = ((200, 120, 60), (60, 120, 200), (128, 128, 128), (20, 20, 20))
UNCHANGED = bytes(sum(PALETTE, ()))
LINEAR = bytes((229, 183, 133, 133, 183, 229, 188, 188, 188, 79, 79, 79))
P3_CURVED = bytes((213, 115, 42, 30, 122, 206, 128, 128, 128, 20, 20, 20))
P3_GAMMA = bytes((214, 116, 38, 22, 123, 208, 129, 129, 129, 12, 12, 12))
ADOBE_GAMMA = bytes((224, 121, 53, 0, 121, 204, 129, 129, 129, 12, 12, 12))
SRGB = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
P3 = (0.3127, 0.3290, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)


def gama(gamma: float) -> bytes:
    return chunk(b"gAMA", struct.pack(">I", round(gamma * 100_000)))


def chrm(*chromaticities: float) -> bytes:
    return chunk(b"cHRM", struct.pack(">8I", *(round(value * 100_000) for value in chromaticities)))


def cicp(primaries: int, transfer: int, matrix: int = 0, full_range: int = 1) -> bytes:
    return chunk(b"cICP", bytes((primaries, transfer, matrix, full_range)))


def clli(nits: int) -> bytes:
    return chunk(b"cLLI", struct.pack(">II", nits * 10_000, 0))


def mdcv(nits: int) -> bytes:
    return chunk(b"mDCV", struct.pack(">8HII", *range(8), nits * 10_000, 50))


def iccp(profile: bytes) -> bytes:
    return chunk(b"iCCP", b"x\0\0" + zlib.compress(profile))


SRGB_CHUNK = chunk(b"sRGB", b"\0")


def picture(before: bytes, after: bytes = b"") -> bytes:
    return png(4, 1, depth=8, colour=2, rows=[UNCHANGED], before=before, after=after)


def shown(original: bytes) -> bytes:
    return normalize(original, edge=16, limits=Limits()).pixels


@pytest.mark.parametrize(
    ("chunks", "pixels"),
    [
        (gama(0.45455), UNCHANGED),
        (gama(0.4319), UNCHANGED),
        (gama(0.55), bytes((210, 138, 76, 76, 138, 210, 146, 146, 146, 25, 25, 25))),
        (gama(0.4), bytes((195, 109, 46, 46, 109, 195, 117, 117, 117, 6, 6, 6))),
        (gama(1.0), LINEAR),
        (gama(1.0) + gama(0.45455), LINEAR),
        (chrm(*P3), UNCHANGED),
        (gama(0.45455) + chrm(*P3), P3_GAMMA),
        (gama(0.45455) + chrm(*SRGB), bytes((201, 121, 57, 57, 121, 201, 129, 129, 129, 12, 12, 12))),
        (
            gama(0.45455) + chrm(0.3457, 0.3585, *SRGB[2:]),
            bytes((208, 122, 64, 40, 120, 199, 129, 129, 129, 12, 12, 12)),
        ),
        (cicp(12, 13), P3_CURVED),
        (cicp(9, 8), bytes((255, 176, 124, 67, 187, 234, 188, 188, 188, 79, 79, 79))),
        (cicp(1, 1), bytes((197, 113, 49, 49, 113, 197, 121, 121, 121, 7, 7, 7))),
        (cicp(1, 7), bytes((206, 134, 77, 77, 134, 206, 141, 141, 141, 38, 38, 38))),
        (cicp(1, 17), bytes((200, 109, 44, 44, 109, 200, 118, 118, 118, 5, 5, 5))),
        (cicp(12, 16), bytes((255, 32, 0, 0, 65, 255, 132, 132, 132, 1, 1, 1))),
        (cicp(9, 18), bytes((230, 76, 29, 0, 95, 188, 99, 99, 99, 5, 5, 5))),
    ],
    ids=[
        "gamma of sRGB", "gamma near it", "gamma 0.55", "gamma 0.4", "gamma 1", "two gammas", "primaries alone",
        "P3 and gamma", "BT.709 and gamma", "D50 and gamma", "cICP P3", "cICP BT.2020 linear", "cICP BT.709",
        "cICP SMPTE 240M", "cICP SMPTE 428", "cICP P3 PQ", "cICP HLG",
    ],
)  # fmt: skip
def test_a_png_has_the_colours_that_its_chunks_state(chunks: bytes, pixels: bytes) -> None:
    assert list(shown(picture(chunks))) == pytest.approx(list(pixels), abs=2)


@pytest.mark.parametrize(
    ("chunks", "pixels"),
    [
        (cicp(12, 13) + iccp(rgb_profile("adobe")) + SRGB_CHUNK + gama(1.0), P3_CURVED),
        (iccp(rgb_profile("adobe")) + SRGB_CHUNK + gama(1.0), ADOBE_GAMMA),
        (SRGB_CHUNK + gama(1.0) + chrm(*P3), UNCHANGED),
        (iccp(b"rubbish") + gama(1.0), LINEAR),
    ],
    ids=["cICP", "iCCP", "sRGB", "gAMA"],
)
def test_the_first_of_cicp_iccp_srgb_and_gama_counts(chunks: bytes, pixels: bytes) -> None:
    assert list(shown(picture(chunks))) == pytest.approx(list(pixels), abs=1)


@pytest.mark.parametrize(
    "chunks",
    [
        gama(0.0),
        gama(0.00001),
        gama(1.0) + chrm(*[0.0] * 8),
        gama(1.0) + chrm(*[0.3] * 8),
        gama(1.0) + chrm(0.3127, 0.0, *P3[2:]),
        gama(1.0) + chrm(0.3127, 0.3290, 1.5, *P3[3:]),
        cicp(2, 8),
        cicp(3, 13),
        cicp(12, 2),
        cicp(12, 99),
        cicp(12, 13, full_range=0),
        cicp(12, 13, matrix=1),
        chunk(b"cICP", bytes((12, 13, 0, 1, 0))),
    ],
    ids=[
        "gamma 0", "gamma 0.00001", "all 0", "one point", "white with y = 0", "x over 1", "primaries unspecified",
        "primaries reserved", "transfer unspecified", "transfer unknown", "narrow range", "a matrix", "too long",
    ],
)  # fmt: skip
def test_chunks_that_are_no_colours_change_nothing(chunks: bytes) -> None:
    assert shown(picture(chunks)) == UNCHANGED


def test_a_gamma_behind_the_pixels_changes_nothing() -> None:
    assert shown(picture(b"", after=gama(1.0))) == UNCHANGED


@pytest.mark.parametrize(
    ("depth", "colour", "row", "before"),
    [
        (16, 2, pack_samples(*(level * 257 for level in UNCHANGED)), b""),
        (8, 6, b"".join(bytes((*colour, 255)) for colour in PALETTE), b""),
        (8, 3, bytes(range(4)), chunk(b"PLTE", UNCHANGED)),
    ],
    ids=["16 bits", "alpha", "palette"],
)
def test_the_colours_of_every_kind_of_png_are_converted(depth: int, colour: int, row: bytes, before: bytes) -> None:
    original = png(4, 1, depth=depth, colour=colour, rows=[row], before=cicp(12, 13) + before)

    assert list(shown(original)) == pytest.approx(list(P3_CURVED), abs=1)


@pytest.mark.parametrize(("colour", "row"), [(0, b"\x80"), (4, b"\x80\x80")], ids=["grey", "grey with alpha"])
def test_a_grey_png_is_converted_and_keeps_its_alpha(colour: int, row: bytes) -> None:
    found = shown(png(1, 1, depth=8, colour=colour, rows=[row], before=gama(1.0)))

    assert found == bytes((188, 188, 188)) + row[1:]


@pytest.mark.parametrize(
    ("light", "levels"),
    [
        (b"", (30, 132, 187, 213, 237, 255, 255)),
        (clli(400), (39, 163, 229, 249, 255, 255, 255)),
        (clli(4000), (30, 132, 187, 202, 214, 238, 255)),
        (mdcv(4000), (30, 132, 187, 202, 214, 238, 255)),
        (mdcv(4000) + clli(400), (39, 163, 229, 249, 255, 255, 255)),
        (clli(0), (30, 132, 187, 213, 237, 255, 255)),
    ],
    ids=["unstated", "400", "4000", "mastered at 4000", "mastered at 4000, but 400", "0"],
)
def test_the_brightest_pixel_of_a_pq_picture_becomes_white(light: bytes, levels: tuple[int, ...]) -> None:
    row = bytes((64, 128, 148, 160, 176, 208, 255))

    found = shown(png(7, 1, depth=8, colour=0, rows=[row], before=cicp(9, 16) + light))

    assert list(found[::3]) == pytest.approx(list(levels), abs=3)


def test_hlg_that_never_reaches_its_peak_stays_below_white() -> None:
    found = shown(png(1, 1, depth=8, colour=0, rows=[b"\xff"], before=cicp(9, 18) + clli(4000)))

    assert found[0] == pytest.approx(225, abs=2)


@pytest.mark.parametrize(
    ("chunks", "name", "source"),
    [
        (b"", "sRGB", "none"),
        (SRGB_CHUNK, "sRGB", "none"),
        (gama(0.45455), "sRGB", "gama"),
        (gama(0.5), "gamma 2.00", "gama"),
        (gama(0.5) + chrm(*P3), "gamma 2.00 with primaries", "gama"),
        (cicp(1, 13), "sRGB", "cicp"),
        (cicp(12, 13), "Display P3", "cicp"),
        (cicp(9, 16), "BT.2020 PQ", "cicp"),
        (iccp(rgb_profile("p3")), "ICC profile", "icc"),
        (iccp(grey_profile(1.0)), "sRGB", "none"),
    ],
)
def test_an_opened_png_says_its_colour_space_and_where_it_is_stated(chunks: bytes, name: str, source: str) -> None:
    space = open_image(picture(chunks), limits=Limits()).colour_space

    assert (space.name, space.source) == (name, source)
