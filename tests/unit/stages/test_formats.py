"""Formats are recognized by their first bytes alone, and encoded without metadata."""

from __future__ import annotations

import pytest
from PIL import AvifImagePlugin, Image

from stages.errors import ImageCorrupt, ImageTooLarge, InvalidOperation
from stages.formats import ACCEPTED_FORMATS, HEAD_BYTES, MEDIA_TYPES, choose_format, encode, sniff
from stages.limits import Limits, check_dimensions, check_frames
from stages.rendition import render
from tests.support.images import cutout, decode_image, encode_image, exif, photo, rgb_profile, xmp

WITH_SIZE = ("png", "gif", "bmp", "webp")


@pytest.mark.parametrize("name", [name for name in ACCEPTED_FORMATS if name != "heic"])
def test_sniff_names_every_accepted_format(name: str) -> None:
    found = sniff(encode_image(photo(70, 30), name)[:HEAD_BYTES])

    assert found is not None
    assert found.format == name
    assert (found.width, found.height) == ((70, 30) if name in WITH_SIZE else (None, None))


@pytest.mark.parametrize(
    ("picture", "options"),
    [
        (photo(70, 30), {"lossless": False}),
        (photo(70, 30), {"lossless": True}),
        (cutout(70, 30), {"lossless": False}),
        (photo(70, 30), {"exif": exif(6)}),
    ],
    ids=["VP8", "VP8L", "VP8X alpha", "VP8X exif"],
)
def test_sniff_reads_the_size_of_every_kind_of_webp(picture: Image.Image, options: dict[str, object]) -> None:
    found = sniff(encode_image(picture, "webp", **options)[:HEAD_BYTES])

    assert found is not None
    assert (found.width, found.height) == (70, 30)


def test_sniff_knows_heic_by_its_brand() -> None:
    found = sniff(b"\0\0\0\x1cftypmif1\0\0\0\0mif1heicmiaf".ljust(HEAD_BYTES, b"\0"))

    assert found is None if "heic" not in ACCEPTED_FORMATS else found is not None and found.format == "heic"


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\xff\xd8",
        b"BM is how this letter starts",
        b"RIFF\0\0\0\0WAVEfmt ",
        b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"<!doctype html>",
        b"%PDF-1.7",
        b"%!PS-Adobe-3.0 EPSF-3.0",
        b"PK\3\4",
        b"8BPS\0\1",
        b"\0\0\1\0\1\0",
    ],
)
def test_sniff_rejects_everything_else(head: bytes) -> None:
    assert sniff(head) is None


@pytest.mark.parametrize("name", [name for name in ACCEPTED_FORMATS if name != "heic"])
def test_sniff_accepts_a_head_of_any_length(name: str) -> None:
    content = encode_image(photo(), name)

    sniffed = [sniff(content[:length]) for length in range(HEAD_BYTES + 1)]

    assert {each.format for each in sniffed if each} == {name}
    assert sniffed[-1], "a whole head is enough"


def test_every_accepted_format_has_a_media_type() -> None:
    assert set(ACCEPTED_FORMATS) <= set(MEDIA_TYPES)


def test_auto_is_jpeg_for_opaque_and_webp_for_alpha() -> None:
    assert choose_format("auto", has_alpha=False, size=(8, 8)) == "jpeg"
    assert choose_format("auto", has_alpha=True, size=(8, 8)) == "webp"
    assert choose_format("auto", has_alpha=True, size=(16_384, 1)) == "png"
    assert choose_format("auto", has_alpha=True, size=(4000, 4001)) == "png"
    assert choose_format("avif", has_alpha=True, size=(8, 8)) == "avif"


@pytest.mark.parametrize("name", ["jpeg", "png", "webp", "avif"])
def test_encode_drops_all_metadata(name: str) -> None:
    picture = photo().copy()
    picture.info = {"exif": exif(6), "icc_profile": rgb_profile("p3"), "xmp": xmp(6), "comment": b"hush", "dpi": (1, 1)}

    content = encode(picture, name)

    assert not {"exif", "icc_profile", "xmp", "comment", "dpi"} & set(decode_image(content).info)
    assert not any(word in content for word in (b"Exif", b"ICC", b"adobe", b"hush", b"Tattletale"))
    assert picture.info  # the caller's image is left alone


def test_jpeg_is_subsampled_and_follows_the_quality() -> None:
    low, usual, high = (encode(photo(), "jpeg", quality) for quality in (20, None, 95))

    assert len(low) < len(usual) < len(high)
    assert decode_image(usual).layer[0][1:3] == (2, 2)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("size", "rules"),
    [
        ((101, 1), ["side"]),
        ((1, 101), ["side"]),
        ((60, 60), ["pixels"]),
        ((200, 200), ["side", "side", "pixels"]),
    ],
)
def test_dimensions_over_a_limit_are_refused_naming_limit_and_actual(size: tuple[int, int], rules: list[str]) -> None:
    with pytest.raises(ImageTooLarge) as refused:
        check_dimensions(*size, Limits(side=100, pixels=2000))

    assert [error.rule for error in refused.value.errors] == rules
    assert all(isinstance(error.actual, int) and error.actual > int(error.limit or 0) for error in refused.value.errors)
    assert str(refused.value.errors[0].limit) in refused.value.message.replace(",", "")


def test_dimensions_at_the_limit_pass() -> None:
    check_dimensions(100, 20, Limits(side=100, pixels=2000))
    check_frames(5, 20, 10, Limits(frames=5, animation_pixels=1000))


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (-3, 5)])
def test_an_image_without_pixels_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ImageCorrupt):
        check_dimensions(*size, Limits())


@pytest.mark.parametrize("name", ["webp", "avif"])
def test_a_picture_whose_encoding_would_take_a_gigabyte_is_refused(name: str) -> None:
    with pytest.raises(InvalidOperation) as refused:
        render(Image.new("L", (4001, 4000)), format=name)

    assert [(rule.pointer, rule.limit) for rule in refused.value.errors] == [("/format", 16_000_000)]


def test_jpeg_has_one_scan_and_the_tables_of_the_standard() -> None:
    one, other = encode(photo(), "jpeg"), encode(cutout().convert("RGB"), "jpeg")

    assert "progressive" not in decode_image(one).info
    assert _huffman_tables(one) == _huffman_tables(other)  # optimized ones would be made for each picture


def _huffman_tables(jpeg: bytes) -> bytes:
    return jpeg[jpeg.index(b"\xff\xc4") : jpeg.index(b"\xff\xda")]


def test_avif_is_encoded_fast_and_the_same_on_any_number_of_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = photo(1200, 800)
    fast = encode_image(picture, "avif", quality=60, speed=9, max_threads=1)

    contents = []
    for cores in (1, 2, 8):
        monkeypatch.setattr(AvifImagePlugin, "DEFAULT_MAX_THREADS", cores)  # what Pillow takes by default
        contents.append(encode(picture, "avif"))

    assert contents == [fast] * 3


def test_avif_is_subsampled() -> None:
    content = encode(photo(), "avif")

    flags = content[content.index(b"av1C") + 6]
    assert flags >> 2 & 0b111 == 0b011  # monochrome, chroma_subsampling_x, _y: AV1-ISOBMFF 2.3.3


@pytest.mark.parametrize("name", ["jpeg", "png", "webp", "avif"])
def test_the_same_pixels_give_the_same_bytes(name: str) -> None:
    assert encode(photo(200, 150), name) == encode(photo(200, 150), name)
