"""Each step makes the image that people have looked at: `python -m tests.tools.golden` makes them anew."""

from __future__ import annotations

import pytest

import stages.scale
from stages.steps.table import STEPS
from tests.support.images import decode_image
from tests.support.step_images import difference
from tests.tools.golden import FOLDER, GOLDENS, draw_source, make_golden

MEAN, LARGEST = 0.5, 16  # levels: more than other versions of Pillow, or another resampler, change
FOLDER_BYTES = 400_000


@pytest.mark.parametrize("name", GOLDENS)
def test_a_step_makes_its_golden_image(name: str) -> None:
    expected = decode_image((FOLDER / f"{name}.png").read_bytes())

    found = make_golden(name)

    assert (found.mode, found.size) == (expected.mode, expected.size)
    mean, largest = difference(found, expected)
    assert mean <= MEAN
    assert largest <= LARGEST


@pytest.mark.parametrize("name", [name for name in GOLDENS if name.startswith(("watermark", "blur", "resize"))])
def test_golden_images_hold_without_the_simd_resampler(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages.scale, "SIMD_MODES", frozenset())

    mean, largest = difference(make_golden(name), decode_image((FOLDER / f"{name}.png").read_bytes()))

    assert mean <= MEAN
    assert largest <= LARGEST


@pytest.mark.parametrize("name", GOLDENS)
def test_a_golden_image_shows_more_than_the_tolerance(name: str) -> None:
    source, golden = draw_source(name), decode_image((FOLDER / f"{name}.png").read_bytes())

    assert source.size != golden.size or difference(source, golden)[0] > MEAN


def test_every_step_has_golden_images_and_each_file_is_one() -> None:
    shown = {written if isinstance(written, str) else next(iter(written)) for written, _, _ in GOLDENS.values()}
    files = list(FOLDER.iterdir())

    assert shown == set(STEPS)
    assert {file.stem for file in files} == set(GOLDENS)
    assert sum(file.stat().st_size for file in files) < FOLDER_BYTES
