"""Hostile bytes raise a StageError with a stable code, fast and in little memory, and never another exception."""

from __future__ import annotations

import random
import struct
from functools import cache

import pytest
from PIL import Image

from stages.decode import translate_pillow_errors
from stages.errors import ImageCorrupt, ImageTooLarge
from stages.formats import ACCEPTED_FORMATS
from stages.heif.boxes import find_tracks
from stages.limits import Limits
from tests.support.avif import coded, sequence
from tests.support.images import animation, cutout, decode_image, encode_image, encode_oriented_grid, photo
from tests.unit.stages.refusals import code_of

LIMITS = Limits()
FOREIGN = {
    "ico": b"\0\0\1\0\1\0\x10\x10\0\0\1\0\x20\0" + bytes(64),
    "psd": b"8BPS\0\1" + bytes(64),
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
    "pdf": b"%PDF-1.7\n1 0 obj",
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    "mp4": b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41" + bytes(64),
    "html": b"<!doctype html><script>alert(1)</script>",
    "zip": b"PK\3\4\x14\0" + bytes(64),
    "text": b"BMX is a sport, and this is not a bitmap at all, whatever its name says",
    "jpeg 2000": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(64),
    "a single byte": b"\xff",
    "tga": encode_image(photo(), "tga"),
    "ppm": encode_image(photo(), "ppm"),
}


@cache
def draw_seed_files() -> dict[str, bytes]:
    """Return a file of every accepted format, in each of its variants."""
    plain = {name: encode_image(photo(), name) for name in ACCEPTED_FORMATS if name != "heic"}
    return plain | {
        "progressive jpeg": encode_image(photo(), "jpeg", progressive=True),
        "cmyk jpeg": encode_image(photo().convert("CMYK"), "jpeg"),
        "jpeg with exif": encode_oriented_grid("jpeg", 6),
        "deflated tiff": encode_image(photo(), "tiff", compression="tiff_adobe_deflate"),
        "jpeg in tiff": encode_image(photo(), "tiff", compression="jpeg"),
        "lossy webp": encode_image(photo(), "webp", lossless=False),
        "webp with alpha": encode_image(cutout(), "webp", lossless=False),
        "16-bit png": encode_image(Image.new("I;16", (40, 40), 999), "png"),
        **{f"animated {name}": animation(name) for name in ("gif", "webp", "png", "avif")},
    }


@pytest.mark.parametrize("original", FOREIGN.values(), ids=FOREIGN)
def test_what_is_not_an_accepted_image_is_refused_whatever_its_name(original: bytes) -> None:
    assert code_of(original) == ("unsupported_format",) * 2


def test_an_empty_file_is_refused() -> None:
    assert code_of(b"") == ("empty_file",) * 2


@pytest.mark.parametrize("name", draw_seed_files())
def test_a_truncated_file_is_refused_as_truncated(name: str) -> None:
    original = draw_seed_files()[name]
    needless = 12 + 8 if name.endswith("png") else 11  # its last chunk, and the checksums of its pixels

    for length in range(64, len(original) - needless, len(original) // 40):
        codes = code_of(original[:length])
        if name != "animated gif" or codes != ("", ""):  # a GIF may stop between its frames
            assert codes[1] == "image_truncated", length
            assert codes[0] in ("", "image_truncated"), length


@pytest.mark.parametrize("name", draw_seed_files())
def test_a_damaged_file_is_refused_with_a_code_or_decoded(name: str) -> None:
    original, rng = draw_seed_files()[name], random.Random(name)  # noqa: S311  damage that can be repeated

    for _ in range(60):
        damaged = bytearray(original)
        for _ in range(rng.choice((1, 2, 8, 30))):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        code_of(bytes(damaged))


def test_a_jpeg_of_twelve_bits_is_refused_as_unsupported() -> None:
    original = bytearray(encode_image(photo(), "jpeg"))
    original[original.index(b"\xff\xc0") + 4] = 12

    assert code_of(bytes(original)) == ("unsupported_format",) * 2


def test_the_index_of_the_other_pictures_in_a_phones_jpeg_is_not_read() -> None:
    original = encode_image(photo(), "jpeg")
    index = b"\xff\xe2\0\x18MPF\0MM\0*\0\0\0\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"

    assert code_of(original[:2] + index + original[2:]) == ("", "")


def test_markers_without_a_length_are_skipped() -> None:
    original = encode_image(photo(), "jpeg")

    assert code_of(original[:2] + b"\xff\xd3" + original[2:])[0] == ""


def test_an_image_that_exceeds_the_limits_while_decoding_is_too_large() -> None:
    before = Image.MAX_IMAGE_PIXELS

    with pytest.raises(ImageTooLarge), translate_pillow_errors(Limits(pixels=6143)):
        decode_image(encode_image(photo(96, 64)))

    assert before == Image.MAX_IMAGE_PIXELS


def test_other_exceptions_pass_through() -> None:
    class TimeLimitError(Exception):
        pass

    with pytest.raises(TimeLimitError), translate_pillow_errors(LIMITS):
        raise TimeLimitError


@pytest.mark.parametrize("tail", [b"", b"trailing rubbish", bytes(4000)])
def test_what_follows_an_image_is_ignored(tail: bytes) -> None:
    for name in ("jpeg", "png", "gif", "bmp", "tiff"):
        assert code_of(encode_image(photo(), name) + tail) == ("", "")


def test_the_tracks_of_an_avif_share_no_samples() -> None:
    stream = coded((64, 64)).stream + b"\x12\0" * 400

    assert [*find_tracks(memoryview(sequence(stream)), b"av01")] == [[stream]]
    with pytest.raises(ImageCorrupt):
        list(find_tracks(memoryview(sequence(stream, tracks=16)), b"av01"))


def test_boxes_may_be_long_or_end_with_the_file() -> None:
    original = encode_image(photo(), "avif")
    at = original.index(b"mdat") - 4

    assert code_of(original[:at] + bytes(4) + original[at + 4 :])[0] == ""
    assert code_of(original + struct.pack(">I4sQ", 1, b"free", 24) + bytes(8)) == ("", "")
