"""HEIC is accepted if its decoder is installed."""

from __future__ import annotations

import io

import pytest

from stages.errors import ImageTooLarge, StageError
from stages.formats import ACCEPTED_FORMATS, HEAD_BYTES, sniff
from stages.limits import Limits
from stages.normalize import normalize
from stages.validate import validate
from tests.support.images import CELL, GRID, draw_stored_grid, exif, photo

pillow_heif = pytest.importorskip("pillow_heif")
LIMITS = Limits()


def heic(orientation: int = 1) -> bytes:
    content = io.BytesIO()
    pillow_heif.from_pillow(draw_stored_grid(orientation)).save(content, quality=90, exif=exif(orientation))
    return content.getvalue()


def test_heic_is_accepted_and_sniffed() -> None:
    found = sniff(heic()[:HEAD_BYTES])

    assert "heic" in ACCEPTED_FORMATS
    assert found is not None
    assert found.format == "heic"


@pytest.mark.parametrize("orientation", [1, 6, 8, 3])
def test_heic_is_turned_upright_once(orientation: int) -> None:
    facts = validate(heic(orientation), limits=LIMITS)
    master = normalize(heic(orientation), edge=1600, limits=LIMITS)

    assert (facts.format, facts.width, facts.height) == ("heic", 3 * CELL, 2 * CELL)
    assert (master.width, master.height) == (3 * CELL, 2 * CELL)
    found = master.image().getpixel((CELL // 2, CELL // 2))
    assert found == pytest.approx(GRID[0][0], abs=12)


def test_a_truncated_heic_is_refused_as_truncated() -> None:
    original = heic()

    for length in range(64, len(original), len(original) // 20):
        with pytest.raises(StageError) as refused:
            normalize(original[:length], edge=64, limits=LIMITS)
        assert refused.value.code == "image_truncated"


@pytest.mark.parametrize("side", [10_000, 20_000, 65_535])
def test_a_heic_bomb_is_refused_by_its_header(side: int) -> None:
    original = bytearray(heic())
    at = original.index(b"ispe") + 8
    original[at : at + 8] = side.to_bytes(4, "big") * 2

    with pytest.raises(ImageTooLarge):
        validate(bytes(original), limits=LIMITS)


def test_heic_is_scaled() -> None:
    content = io.BytesIO()
    pillow_heif.from_pillow(photo(400, 300)).save(content, quality=80)

    assert normalize(content.getvalue(), edge=150, limits=LIMITS).height == 112
