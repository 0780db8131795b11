"""Hostile bytes raise a StageError with a stable code, fast and in little memory, and never another exception."""

from __future__ import annotations

import random
import resource
import struct
import time
import zlib
from dataclasses import replace
from functools import cache

import pytest
from PIL import Image

from stages.animate import animate
from stages.decode import translate_pillow_errors
from stages.errors import ImageCorrupt, ImageTooLarge, StageError
from stages.formats import ACCEPTED_FORMATS
from stages.heif.boxes import find_tracks
from stages.limits import Limits
from stages.normalize import normalize
from stages.validate import validate
from tests.support.apng import build_apng, plain_frame
from tests.support.avif import avif, coded, repeat_header, restate_stream, sequence
from tests.support.images import animation, chunk, cutout, decode_image, encode_image, encode_oriented_grid, photo, png
from tests.support.webps import webp, webp_frame

LIMITS = Limits()
KB = 1024


def gif(*frames: tuple[int, int, int, int], screen: tuple[int, int] = (2, 2), tail: bytes = b";") -> bytes:
    """Build a GIF whose frames lie at (left, top, width, height), each with the pixels of a single dot."""
    head = b"GIF89a" + struct.pack("<HHBBB", *screen, 0x80, 0, 0) + bytes(6)
    return head + b"".join(b"," + struct.pack("<4HB", *box, 0) + b"\x02\x02\x44\x01\0" for box in frames) + tail


def bmp(width: int, height: int, bits: int = 24, compression: int = 0) -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + header


def tiff(tags: dict[int, tuple[int, ...]], tail: bytes = bytes(64), *, big: bool = False) -> bytes:
    """Build a TIFF of one directory, every tag a LONG, with `tail` behind it."""
    head, entry, pointer, inline = (
        (struct.pack("<2sHHHQQ", b"II", 43, 8, 0, 16, len(tags)), "<HHQ", "<Q", 8)
        if big
        else (struct.pack("<2sHIH", b"II", 42, 8, len(tags)), "<HHI", "<I", 4)
    )
    away = len(head) + len(tags) * (struct.calcsize(entry) + inline) + inline
    directory, values = b"", b""
    for tag, numbers in sorted(tags.items()):
        packed = struct.pack(f"<{len(numbers)}I", *numbers)
        directory += struct.pack(entry, tag, 4, len(numbers))
        directory += packed.ljust(inline, b"\0") if len(packed) <= inline else struct.pack(pointer, away + len(values))
        values += packed if len(packed) > inline else b""
    return head + directory + bytes(inline) + values + tail


GREY_TIFF: dict[int, tuple[int, ...]] = {
    256: (8,),
    257: (8,),
    258: (8,),
    259: (1,),
    262: (1,),
    273: (122,),
    277: (1,),
    278: (8,),
    279: (64,),
}
TILED_TIFF: dict[int, tuple[int, ...]] = {
    256: (8,),
    257: (8,),
    258: (8,),
    259: (1,),
    262: (1,),
    277: (1,),
    322: (8,),
    323: (8,),
    324: (0,),
    325: (9,),
}


def jpeg(width: int, height: int, *, scans: int = 1, padding: int = 0, segments: int = 0) -> bytes:
    """Return a real JPEG with a false size, and with more scans or segments."""
    content = bytearray(encode_image(photo(16, 16), "jpeg", progressive=scans > 1))
    frame = content.index(b"\xff\xc2" if scans > 1 else b"\xff\xc0")
    content[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    first_scan = content.index(b"\xff\xda")
    scan = content[first_scan : content.find(b"\xff\xc4", first_scan)]
    content[first_scan:first_scan] = b"\xff\xfe\0\2" * segments + b"\0" * padding + scan * (scans - 1)
    return bytes(content)


def resized(original: bytes, kind: bytes, size: tuple[int, int]) -> bytes:
    """Overwrite the size in every box of an AVIF that states one."""
    content, start = bytearray(original), 0
    while (start := content.find(kind, start)) >= 0:
        content[start + 8 : start + 16] = struct.pack(">II", *size)
        start += 16
    return bytes(content)


def described(original: bytes) -> bytes:
    """Return the box that describes the items of an AVIF."""
    start = original.index(b"meta") - 4
    return original[start : start + struct.unpack_from(">I", original, start)[0]]


def webp_canvas(width: int, height: int) -> bytes:
    content = bytearray(animation("webp"))
    content[24:30] = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return bytes(content)


BOMBS = {
    "png of 4 gigapixels": (png(65_535, 65_535, depth=1, colour=0, rows=[b"\0"]), "image_too_large"),
    "png of 268 megapixels in one bit": (png(16_384, 16_384, depth=1, colour=0, rows=[b"\0"]), "image_too_large"),
    "png of no pixels": (png(0, 5, depth=1, colour=0, rows=[b"\0"]), "image_corrupt"),
    "png of 70,000 chunks": (
        png(1, 1, depth=8, colour=0, rows=[b"\0"], before=chunk(b"abCd") * 70_000),
        "image_too_large",
    ),
    "bmp of 2^32 pixels": (bmp(65_536, 65_536), "image_too_large"),
    "bmp of 2^31 columns": (bmp(2**31 - 1, 1), "image_too_large"),
    "bmp of two million runs": (bmp(1, 1, 8, 1) + b"\1\1" * 2_200_000, "image_too_large"),
    "bmp upside down": (bmp(20_000, -20_000), "image_too_large"),
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
IGNORED_BOMBS = {
    "png with a text that swells": chunk(b"zTXt", b"a\0\0" + SWELLING),
    "png with a profile that swells": chunk(b"iCCP", b"a\0\0" + SWELLING),
    "png with texts that swell together": chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1 << 19))) * 9999,
    "apng of two billion frames": chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0)),
}
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


def code_of(original: bytes) -> tuple[str, str]:
    """Return the codes of validate and of normalize: empty if there is no error."""
    codes = []
    for stage in (lambda: validate(original, limits=LIMITS), lambda: normalize(original, edge=64, limits=LIMITS)):
        try:
            stage()
        except StageError as error:
            codes.append(error.code)
        else:
            codes.append("")
    return codes[0], codes[1]


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
    assert time.process_time() - start < 2


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


def test_a_png_with_a_wrong_checksum_is_refused_as_corrupt() -> None:
    original = bytearray(encode_image(photo()))
    original[original.index(b"IDAT") + 600] ^= 1

    assert code_of(bytes(original)) == ("image_corrupt",) * 2


def test_a_png_whose_compressed_pixels_are_truncated_is_refused() -> None:
    head, end = png(40, 40, depth=8, colour=0, rows=[])[:33], chunk(b"IEND")
    pixels = zlib.compress(bytes(41 * 40))[:-8]

    assert code_of(head + chunk(b"IDAT", pixels) + end) == ("", "image_truncated")


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


def test_the_plain_files_of_which_these_bombs_are_made_are_accepted() -> None:
    for original in (tiff(GREY_TIFF), tiff(TILED_TIFF), gif((0, 0, 1, 1)), jpeg(16, 16), jpeg(16, 16, scans=9)):
        assert code_of(original) == ("", "")


def test_an_os2_bitmap_is_accepted_and_its_truncation_detected() -> None:
    original = b"BM" + struct.pack("<IHHIIHHHH", 0, 0, 0, 26, 12, 4, 2, 1, 24) + bytes(24)

    assert code_of(original) == ("", "")
    assert code_of(original[:-9]) == ("image_truncated",) * 2


def test_a_run_length_encoded_bitmap_is_accepted() -> None:
    original = bmp(4, 1, 8, 1).replace(struct.pack("<I", 54), struct.pack("<I", 54 + 1024), 1)

    assert code_of(original + bytes(1024) + b"\4\0\0\1") == ("", "")


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
