"""A JPEG of which pixels are missing is refused; what cameras write around whole images is not."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from functools import cache

import pytest
from PIL import Image

from stages.errors import ImageTruncated, StageError
from stages.limits import Limits
from stages.normalize import Master, normalize
from stages.validate import validate
from tests.support.images import encode_image, photo

LIMITS = Limits()
END = b"\xff\xd9"
SIZE = (96, 64)
# Huffman codes that the cut leaves incomplete are guessed: a block of a scan, or two of an image of one component.
GUESSED_BYTES = 20
LAYOUTS: dict[str, tuple[str, dict[str, object]]] = {
    "4:2:0": ("RGB", {}),
    "4:4:4": ("RGB", {"subsampling": "4:4:4", "optimize": True}),
    "grey": ("L", {}),
    "cmyk": ("CMYK", {}),
    "restart markers": ("RGB", {"restart_marker_rows": 1}),
    "a restart marker behind each unit": ("L", {"restart_marker_blocks": 1}),
    "progressive": ("RGB", {"progressive": True}),
    "progressive grey": ("L", {"progressive": True}),
    "progressive cmyk": ("CMYK", {"progressive": True}),
    "progressive with restart markers": ("RGB", {"progressive": True, "restart_marker_rows": 1}),
    "progressive with many restart markers": ("RGB", {"progressive": True, "restart_marker_blocks": 2}),
}
AROUND: dict[str, Callable[[bytes], bytes]] = {
    "bytes behind the end": lambda whole: whole + bytes(4000),
    "another image behind the end": lambda whole: whole + whole,
    "a trailer that looks like scans": lambda whole: whole + b"\xff\xda" * 1000 + b"SEFT",
    "no end marker": lambda whole: whole[:-2],
    "half an end marker": lambda whole: whole[:-1],
    "text instead of the end marker": lambda whole: whole[:-2] + b"a trailer of the camera's maker\n" * 9,
    "a trailer with markers instead of the end marker": lambda whole: whole[:-2] + b"\xff\xe4\x12\x34SEFH" + whole,
    "markers before the end marker": lambda whole: whole[:-2] + b"\xff\xc4\x12\x34SEFH" + bytes(99) + END,
    "stray bytes before the end marker": lambda whole: whole[:-2] + b"\x12\x34\x56" + END,
    "many zeros before the end marker": lambda whole: whole[:-2] + bytes(300) + END,
    "fill bytes before the end marker": lambda whole: whole[:-2] + b"\xff\xff" + END,
}


@cache
def drawn(layout: str) -> bytes:
    mode, options = LAYOUTS[layout]
    return encode_image(photo(*SIZE).convert(mode), "jpeg", **options)


def scans(original: bytes) -> list[tuple[int, int]]:
    """Return where the data of each scan begins, at most 4 bytes later, and ends."""
    found = re.finditer(rb"\xff\xda(?:[^\xff]|\xff[\0\xd0-\xd7])+", original, re.DOTALL)
    return [(scan.start() + 14, scan.end()) for scan in found]


def in_separate_scans(*bands: Image.Image) -> bytes:
    """Return a sequential JPEG with a scan for each of its components, as some scanners write it."""
    parts = [encode_image(band, "jpeg") for band in bands]
    frame = struct.pack(">BHHB", 8, bands[0].height, bands[0].width, len(bands))
    frame += b"".join(bytes((number, 0x11, 0)) for number in range(len(bands)))
    head, data = parts[0], [part[part.index(b"\xff\xda") + 10 : -2] for part in parts]
    start, tables = head.index(b"\xff\xc0"), head.index(b"\xff\xc4")
    scans = [b"\xff\xda\0\x08\1" + bytes((number, 0, 0, 63, 0)) + scan for number, scan in enumerate(data)]
    result = head[:start] + b"\xff\xc0" + struct.pack(">H", 2 + len(frame)) + frame
    return result + head[tables : head.index(b"\xff\xda")] + b"".join(scans) + END


def decoded(original: bytes, edge: int = 1600) -> Master | str:
    try:
        return normalize(original, edge=edge, limits=LIMITS)
    except StageError as error:
        return error.code


@pytest.mark.parametrize("edge", [1600, 20], ids=["full size", "halved by the decoder"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_jpeg_cut_in_a_scan_is_refused_with_and_without_an_end_marker(layout: str, edge: int) -> None:
    whole = drawn(layout)

    for start, end in scans(whole):
        for cut in range(start, end - GUESSED_BYTES, max(1, (end - start) // 9)):
            assert decoded(whole[:cut] + END, edge) == "image_truncated", cut
            assert decoded(whole[:cut], edge) == "image_truncated", cut


@pytest.mark.parametrize("behind", [bytes(4000), drawn("4:2:0"), b"\xff\xe4\0\2" * 99 + END], ids=len)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_follows_a_cut_jpeg_does_not_count_as_its_pixels(layout: str, behind: bytes) -> None:
    whole = drawn(layout)

    assert decoded(whole[: len(whole) * 3 // 4] + END + behind) == "image_truncated"


@pytest.mark.parametrize("around", AROUND.values(), ids=AROUND)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_jpeg_with_all_pixels_is_accepted_whatever_cameras_write_around_it(
    layout: str, around: Callable[[bytes], bytes]
) -> None:
    whole = drawn(layout)

    validate(around(whole), limits=LIMITS)
    assert decoded(around(whole)) == decoded(whole)


def test_the_images_that_a_phones_jpeg_lists_do_not_hide_that_the_first_is_cut() -> None:
    whole = drawn("4:2:0")
    listed = whole[:2] + b"\xff\xe2\0\x08MPF\0MM" + whole[2:]

    assert decoded(listed + whole) == decoded(whole)
    assert decoded(listed[: len(listed) // 2] + END + whole) == "image_truncated"


def test_a_marker_amid_a_scan_hides_the_pixels_behind_it() -> None:
    whole = drawn("4:2:0")
    middle = (scans(whole)[0][0] + len(whole)) // 2

    assert decoded(whole[:middle] + b"\xff\xc4" + whole[middle:]) == "image_truncated"


def test_scans_that_refine_a_progressive_jpeg_may_be_missing_if_it_has_an_end_marker() -> None:
    whole = drawn("progressive")
    (_, first), *_, (_, last_but_one), _ = scans(whole)

    for end in (first, last_but_one):
        assert isinstance(decoded(whole[:end] + END), Master)
        assert decoded(whole[:end]) == "image_truncated"


def test_each_component_needs_a_scan() -> None:
    whole = in_separate_scans(*photo(*SIZE).convert("YCbCr").split())

    ends = [end for _, end in scans(whole)]

    assert decoded(whole[:-2]) == decoded(whole)
    for cut in (ends[0], ends[1], ends[2] - GUESSED_BYTES):
        assert decoded(whole[:cut] + END) == "image_truncated"
    with pytest.raises(ImageTruncated):
        validate(whole[: ends[1]] + END, limits=LIMITS)


def test_only_the_scans_of_the_image_count() -> None:
    whole = drawn("progressive")

    assert decoded(whole + b"\xff\xda" * 4_000_000) == decoded(whole)


@pytest.mark.parametrize("coding", [0xC3, 0xC9])
def test_a_coding_without_huffman_codes_is_left_to_the_decoder(coding: int) -> None:
    original = drawn("grey").replace(b"\xff\xc0", bytes((0xFF, coding)))

    assert isinstance(decoded(original), Master | str)


@pytest.mark.parametrize(
    ("marker", "content"),
    [(0xE0, b"JFIF\0"), (0xE2, b"ICC_PROFILE\0"), (0xED, b"Photoshop 3.0\x008BIM\4\4"), (0xEE, b"Adobe")],
)
def test_application_data_that_ends_too_early_is_left_out(marker: int, content: bytes) -> None:
    whole = drawn("4:2:0")
    segment = bytes((0xFF, marker)) + struct.pack(">H", 2 + len(content)) + content

    assert decoded(whole[:2] + segment + whole[2:]) == decoded(whole)
