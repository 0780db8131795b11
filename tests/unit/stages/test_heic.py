"""HEIC is accepted if its decoder is installed."""

from __future__ import annotations

import io
import struct

import pytest
from PIL import Image, ImageChops

from stages.errors import ImageCorrupt, ImageTooLarge, StageError
from stages.formats import ACCEPTED_FORMATS, HEAD_BYTES, sniff
from stages.heif.inspection import inspect_heif
from stages.limits import Limits
from stages.normalize import normalize
from stages.validate import validate
from tests.support.avif import Item, avif, separate_associations
from tests.support.images import CELL, GRID, draw_stored_grid, exif, photo

pillow_heif = pytest.importorskip("pillow_heif")
LIMITS = Limits()


def heic(orientation: int = 1) -> bytes:
    content = io.BytesIO()
    pillow_heif.from_pillow(draw_stored_grid(orientation)).save(content, quality=90, exif=exif(orientation))
    return content.getvalue()


def tile() -> Item:
    """Return a grey picture, coded as HEVC."""
    content = io.BytesIO()
    pillow_heif.from_pillow(Image.new("RGB", (64, 64), (90, 80, 70))).save(content)
    original = content.getvalue()
    start, configuration = original.index(b"mdat") + 4, original.index(b"hvcC") - 4
    length = int.from_bytes(original[configuration : configuration + 4])
    return Item(original[start:], original[configuration : configuration + length], (64, 64))


def test_heic_is_accepted_and_sniffed() -> None:
    found = sniff(heic()[:HEAD_BYTES])

    assert "heic" in ACCEPTED_FORMATS
    assert found is not None
    assert found.format == "heic"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_heic_is_turned_upright_once(orientation: int) -> None:
    facts = validate(heic(orientation), limits=LIMITS)
    master = normalize(heic(orientation), edge=1600, limits=LIMITS)

    assert (facts.format, facts.width, facts.height) == ("heic", 3 * CELL, 2 * CELL)
    assert (master.width, master.height) == (3 * CELL, 2 * CELL)
    found = master.image().getpixel((CELL // 2, CELL // 2))
    assert found == pytest.approx(GRID[0][0], abs=12)


def test_the_orientation_of_a_heic_is_that_of_its_container() -> None:
    original = heic()
    turned = original.replace(exif(1)[6:], exif(6)[6:])

    assert turned != original
    assert validate(turned, limits=LIMITS).width == 3 * CELL


@pytest.mark.parametrize("bits", [10, 12])
def test_a_heic_may_have_more_bits_and_alpha(bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pillow_heif.options, "SAVE_HDR_TO_12_BIT", bits == 12)
    faded = Image.merge("RGBA", [*photo().split(), Image.linear_gradient("L").resize(photo().size)])
    samples, content = struct.pack(f"<{4 * 96 * 64}H", *(257 * level for level in faded.tobytes())), io.BytesIO()
    pillow_heif.encode("RGBA;16", faded.size, samples, content, quality=-1, chroma=444)

    found = normalize(content.getvalue(), edge=1600, limits=LIMITS).image()

    assert validate(content.getvalue(), limits=LIMITS).bit_depth == bits
    assert max(ImageChops.difference(found, faded).tobytes()) <= 1


def test_a_truncated_heic_is_refused_as_truncated() -> None:
    original = heic()

    for length in range(64, len(original), len(original) // 20):
        with pytest.raises(StageError) as refused:
            normalize(original[:length], edge=64, limits=LIMITS)
        assert refused.value.code == "image_truncated"


@pytest.mark.parametrize("trailer", [b"\n", bytes(4), b"trailing rubbish"], ids=["newline", "zeros", "text"])
def test_bytes_behind_the_last_box_are_ignored(trailer: bytes) -> None:
    original = heic()

    assert normalize(original + trailer, edge=64, limits=LIMITS) == normalize(original, edge=64, limits=LIMITS)


@pytest.mark.parametrize(("side", "flags"), [(10_000, 0), (20_000, 0), (65_535, 0), (10_000, 1)])
def test_a_heic_bomb_is_refused_by_its_header(side: int, flags: int) -> None:
    original = bytearray(heic())
    at = original.index(b"ispe") + 4
    original[at : at + 12] = flags.to_bytes(4, "big") + side.to_bytes(4, "big") * 2

    with pytest.raises(ImageTooLarge):
        validate(bytes(original), limits=LIMITS)


def test_the_tiles_of_a_heic_count_as_often_as_they_are_decoded() -> None:
    limits = Limits(pixels=64 * 64 * 49)

    assert validate(avif(*[tile()] * 48, grid=(6, 8, 380, 500), coding=b"hvc1"), limits=limits).width == 380
    with pytest.raises(ImageTooLarge):
        validate(avif(tile(), grid=(16, 16, 100, 100), repeats=256, coding=b"hvc1"), limits=limits)


def test_the_items_of_a_heic_do_not_consist_of_themselves() -> None:
    original = avif(tile(), grid=(1, 1, 64, 64), coding=b"hvc1")
    circular = original.replace(b"dimg\0\1\0\1\0\2", b"dimg\0\1\0\1\0\1")

    inspect_heif(original, LIMITS)
    with pytest.raises(ImageCorrupt):
        inspect_heif(circular, LIMITS)


def test_each_item_may_have_a_box_of_associations() -> None:
    original = avif(tile(), tile(), grid=(2, 1, 128, 64), coding=b"hvc1")

    apart = separate_associations(original)

    assert apart.count(b"ipma") == 3
    assert normalize(apart, edge=128, limits=LIMITS) == normalize(original, edge=128, limits=LIMITS)


def test_heic_is_scaled() -> None:
    content = io.BytesIO()
    pillow_heif.from_pillow(photo(400, 300)).save(content, quality=80)

    assert normalize(content.getvalue(), edge=150, limits=LIMITS).height == 112
