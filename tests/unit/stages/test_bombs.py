"""Small files that would take much memory or time are refused by their headers, or cost no more than others."""

from __future__ import annotations

import resource
import struct
import time
import zlib
from dataclasses import replace

import pytest
from PIL import Image

from stages.animate import animate
from stages.errors import StageError
from stages.limits import Limits
from stages.validate import validate
from tests.support.apng import build_apng, plain_frame
from tests.support.avif import avif, coded, repeat_header, restate_stream, sequence
from tests.support.bmps import bmp
from tests.support.bombs import (
    GREY_TIFF,
    TILED_TIFF,
    described,
    gif,
    jpeg,
    naming_items,
    profile_of_elements,
    repeated_tag,
    resized,
    restarting_jpeg,
    sharing_pages,
    spread_segments,
    tiff,
    webp_canvas,
)
from tests.support.images import chunk, encode_image, photo, png
from tests.support.webps import webp, webp_frame
from tests.unit.stages.refusals import code_of

LIMITS = Limits()
KB = 1024


BOMBS = {
    "png of 4 gigapixels": (png(65_535, 65_535, depth=1, colour=0, rows=[b"\0"]), "image_too_large"),
    "png of 268 megapixels in one bit": (png(16_384, 16_384, depth=1, colour=0, rows=[b"\0"]), "image_too_large"),
    "png of no pixels": (png(0, 5, depth=1, colour=0, rows=[b"\0"]), "image_corrupt"),
    "png of 70,000 chunks": (
        png(1, 1, depth=8, colour=0, rows=[b"\0"], before=chunk(b"abCd") * 70_000),
        "image_too_large",
    ),
    "bmp of 2^32 pixels": (bmp((65_536, 65_536), 24, b""), "image_too_large"),
    "bmp of 2^31 columns": (bmp((2**31 - 1, 1), 24, b""), "image_too_large"),
    "bmp of two million runs": (bmp((1, 1), 8, b"\1\1" * 2_200_000, coding=1), "image_too_large"),
    "bmp upside down": (bmp((20_000, -20_000), 24, b""), "image_too_large"),
    "gif with a huge screen": (gif((0, 0, 1, 1), screen=(65_535, 65_535)), "image_too_large"),
    "gif whose first frame is the bomb": (gif((0, 0, 60_000, 60_000)), "image_too_large"),
    "gif of a million blocks": (gif((0, 0, 1, 1), tail=b"!\xfe" + b"\1a" * 1_000_000 + b"\0;"), "image_too_large"),
    "gif of 600,000 empty extensions": (gif((0, 0, 1, 1), tail=b"!\xfe\0" * 600_000), "image_too_large"),
    "gif of 70,000 frames": (gif((0, 0, 1, 1), tail=(b"," + bytes(9) + b"\2\0") * 70_000), "image_too_large"),
    "gif without a frame": (gif(), "image_corrupt"),
    "webp with a huge canvas": (webp_canvas(16_384, 16_384), "image_too_large"),
    "tiff of 4 gigapixels": (tiff({**GREY_TIFF, 256: (65_536,), 257: (65_536,)}), "image_too_large"),
    "tiff with tiles larger than itself": (tiff({**TILED_TIFF, 322: (2**20,), 323: (2**20,)}), "image_too_large"),
    "tiff whose tile size is beside strips": (tiff({**GREY_TIFF, 322: (2**15,), 323: (2**15,)}), "image_too_large"),
    "tiff with a tile size of a signed type": (
        tiff({**GREY_TIFF, 322: (2**15,), 323: (2**15,)}).replace(b"\x42\1\4\0", b"\x42\1\x09\0"),
        "image_too_large",
    ),
    "tiff with two tile sizes": (
        tiff({**TILED_TIFF, 321: (2**15,)}).replace(b"\x41\1\4\0", b"\x42\1\4\0"),
        "image_corrupt",
    ),
    "tiff of 70,000 strips": (tiff({**GREY_TIFF, 273: (8,) * 70_000, 279: (1,) * 70_000}), "image_too_large"),
    "tiff without a size": (tiff({259: (1,), 262: (1,)}), "image_corrupt"),
    "big tiff of 4 gigapixels": (tiff({**GREY_TIFF, 256: (65_536,), 257: (65_536,)}, big=True), "image_too_large"),
    "jpeg of 4 gigapixels": (jpeg(65_500, 65_500), "image_too_large"),
    "jpeg of 101 scans": (jpeg(16, 16, scans=101), "image_too_large"),
    "jpeg of 70,000 segments": (jpeg(16, 16, segments=70_000), "image_too_large"),
    "jpeg of 80,000 segments between its scans": (spread_segments(20_000), "image_too_large"),
    "tiff with one tag 30,000 times": (repeated_tag(30_000), "image_too_large"),
    "jpeg of nothing but padding": (jpeg(16, 16, padding=70_000), "image_too_large"),
    "avif of 256 megapixels": (resized(encode_image(photo(), "avif"), b"ispe", (16_000, 16_000)), "image_too_large"),
    "avif whose stream is larger than its boxes state": (
        avif(replace(coded((64, 64)), stream=restate_stream(coded((64, 64)).stream, (16_384, 16_384)))),
        "image_too_large",
    ),
    "avif whose frame is a repeated header": (
        avif(replace(coded((64, 64)), stream=repeat_header(restate_stream(coded((64, 64)).stream, (16_384, 16_384))))),
        "image_too_large",
    ),
    "avif whose frame has no sequence": (
        avif(replace(coded((64, 64)), stream=coded((64, 64)).stream[13:])),
        "image_corrupt",
    ),
    "avif whose hidden item is a bomb": (
        avif(
            coded((64, 64)),
            replace(coded((64, 64)), stream=restate_stream(coded((64, 64)).stream, (65_536, 65_536))),
        ),
        "image_too_large",
    ),
    "avif of 64 tiles of 49 megapixels": (
        avif(
            *[replace(coded((64, 64)), stream=restate_stream(coded((64, 64)).stream, (7000, 7000)))] * 64,
            grid=(8, 8, 500, 500),
        ),
        "image_too_large",
    ),
    "avif of 80,000 units in two items": (
        avif(*[replace(coded((64, 64)), stream=coded((64, 64)).stream + b"\x12\0" * 40_000)] * 2),
        "image_too_large",
    ),
    "avif described twice": (avif(coded((64, 64))) + described(avif(coded((64, 64)))), "image_corrupt"),
    "avif sequence whose samples are described behind others": (
        sequence(
            restate_stream(coded((64, 64)).stream, (16_384, 16_384)),
            other_entries=struct.pack(">I4s", 100, b"abcd") + bytes(92),
        ),
        "image_too_large",
    ),
    "avif of 60,000 items": (naming_items(b"meta"), "image_too_large"),
    "avif sequence whose track has 60,000 items": (naming_items(b"moov"), "image_too_large"),
    "avif of 4 gigapixels": (resized(encode_image(photo(), "avif"), b"ispe", (65_535, 65_535)), "image_too_large"),
}
ANIMATED_BOMBS = {
    "apng of 30,000 frames": (build_apng([plain_frame((9, 9, 9, 9), (1, 1))] * 30_000, size=(1, 1)), "too_many_frames"),
    "gif of 60,000 frames": (gif(*[(0, 0, 1, 1)] * 60_000), "too_many_frames"),
    "gif of frames with too many pixels in all": (gif(*[(0, 0, 1000, 1000)] * 150), "image_too_large"),
    "gif whose frames have too many pixels beyond the screen": (
        gif((0, 0, 2, 2), *[(9, 9, 7000, 7000)] * 3),
        "image_too_large",
    ),
    "webp of 100,000 frames": (
        webp((1, 1), *[webp_frame((0, 0), Image.new("RGB", (1, 1)))] * 100_000),
        "too_many_frames",
    ),
}
SWELLING = zlib.compress(bytes(64 << 20), 1)
DAMAGED = zlib.compress(bytes(4 << 20))[:-1] + b"\0"
# They cost nothing that is worth a refusal.
SHOWN_BOMBS = {
    "jpeg of 4 million restart markers": restarting_jpeg(4_000_000),
    "tiff whose pages share their numbers": sharing_pages(16),
}
IGNORED_BOMBS = {
    "png with a text that swells": chunk(b"zTXt", b"a\0\0" + SWELLING),
    "png with a profile of many elements": chunk(b"iCCP", b"a\0\0" + zlib.compress(profile_of_elements(10_000))),
    "png with a profile that swells": chunk(b"iCCP", b"a\0\0" + SWELLING),
    "png with texts that swell together": chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1 << 19))) * 9999,
    "png with damaged metadata that swells": chunk(b"zTXt", b"Raw profile type exif\0\0" + DAMAGED) * 3000,
    "apng of two billion frames": chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0)),
}


@pytest.mark.parametrize(("original", "code"), BOMBS.values(), ids=BOMBS)
def test_a_bomb_is_refused_by_its_header(original: bytes, code: str) -> None:
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()

    found = code_of(original)

    assert found == (code, code)
    assert time.process_time() - start < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * KB


@pytest.mark.parametrize(("original", "code"), ANIMATED_BOMBS.values(), ids=ANIMATED_BOMBS)
def test_a_bomb_of_frames_is_refused_where_frames_are_wanted(original: bytes, code: str) -> None:
    start = time.process_time()

    for stage in (
        lambda: validate(original, limits=LIMITS, animated=True),
        lambda: animate(original, edge=64, limits=LIMITS),
    ):
        with pytest.raises(StageError) as refusal:
            stage()
        assert refusal.value.code == code
    assert time.process_time() - start < 4


@pytest.mark.parametrize("name", ["apng of 30,000 frames", "gif of 60,000 frames", "webp of 100,000 frames"])
def test_a_bomb_of_frames_gives_its_first_frame_at_a_bounded_cost(name: str) -> None:
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()

    assert code_of(ANIMATED_BOMBS[name][0]) == ("", "")
    assert time.process_time() - start < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * KB


@pytest.mark.parametrize("before", IGNORED_BOMBS.values(), ids=IGNORED_BOMBS)
def test_a_bomb_that_browsers_ignore_costs_nothing(before: bytes) -> None:
    original = png(1, 1, depth=8, colour=0, rows=[b"\0"], before=before)
    resident, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()

    assert code_of(original) == ("", "")

    assert time.process_time() - start < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - resident < 64 * KB


def test_the_plain_files_of_which_these_bombs_are_made_are_accepted() -> None:
    for original in (tiff(GREY_TIFF), tiff(TILED_TIFF), gif((0, 0, 1, 1)), jpeg(16, 16), jpeg(16, 16, scans=9)):
        assert code_of(original) == ("", "")


@pytest.mark.parametrize("original", SHOWN_BOMBS.values(), ids=SHOWN_BOMBS)
def test_a_bomb_of_things_that_an_image_has_few_of_is_shown_at_a_bounded_cost(original: bytes) -> None:
    resident, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()

    assert code_of(original) == ("", "")

    assert time.process_time() - start < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - resident < 64 * KB
