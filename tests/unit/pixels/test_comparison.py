"""What ./run pixels finds, with oracles that answer from a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from stages.scale import fit_size
from tests.support.images import cutout, photo
from tests.tools.pixels.comparison import compare_images
from tests.tools.pixels.difference import compare_roughly, compare_views, find_turn
from tests.tools.pixels.finding import Finding, Thresholds
from tests.tools.pixels.reading import REFUSED, Reading, load_reading, make_views, save_reading

FILE = Path("photo.jpg")
REFUSAL = Reading(code=REFUSED, message="the browser shows a broken image")


class TableProgram:
    """A program that knows its readings beforehand."""

    def __init__(self, name: str, reading: Reading, formats: Iterable[str] = ("jpeg",)) -> None:
        self.name, self.formats, self._reading = name, frozenset(formats), reading

    def read(self, files: Iterable[Path]) -> Iterator[tuple[Path, Reading]]:
        yield from ((file, self._reading) for file in files)


def show(image: Image.Image, *, is_partial: bool = False) -> Reading:
    views = make_views(image, fit_size(image.size, 64))
    return Reading(width=image.width, height=image.height, views=views, preview=views, is_partial=is_partial)


def find(ours: Reading, oracles: Mapping[str, Reading], format_: str = "jpeg") -> Finding:
    programs = [TableProgram(name, reading) for name, reading in oracles.items()]
    (finding,) = compare_images([(FILE, format_)], TableProgram("ours", ours), programs, Thresholds(), kept=1)
    return finding


def test_equal_pixels_are_alike() -> None:
    finding = find(show(photo()), {"browser": show(photo())})

    assert (finding.kind, finding.oracle, finding.mean, finding.turn) == ("alike", "browser", 0, "")


def test_other_pixels_differ_by_the_mean_of_their_levels() -> None:
    grey, lighter = Image.new("RGB", (40, 30), (100, 100, 100)), Image.new("RGB", (40, 30), (103, 109, 100))

    finding = find(show(grey), {"browser": show(lighter), "other": show(grey)})

    assert finding.kind == "differs"
    assert finding.difference is not None
    assert (finding.difference.mean, finding.difference.p99) == (4, 9)
    assert finding.others == {"other": 0}


def test_transparent_is_no_colour() -> None:
    white = Image.new("RGB", (96, 64), "white")
    white.paste(cutout(), mask=cutout())

    finding = find(show(white), {"browser": show(cutout())})

    assert finding.kind == "differs"
    assert finding.difference is not None
    assert finding.difference.background == 0  # over white they are alike


@pytest.mark.parametrize(
    ("turn", "name"), [(Image.Transpose.ROTATE_90, "turn left"), (Image.Transpose.FLIP_LEFT_RIGHT, "mirror")]
)
def test_a_turned_image_is_recognized(turn: Image.Transpose, name: str) -> None:
    finding = find(show(photo()), {"browser": show(photo().transpose(turn))})

    assert (finding.kind, finding.turn) == ("differs", name)


def test_another_size_differs_even_if_the_pixels_are_alike() -> None:
    large = photo(128, 96)

    finding = find(show(large.resize((64, 48), Image.Resampling.BOX)), {"browser": show(large)})

    assert finding.kind == "differs"
    assert finding.mean == 0


@pytest.mark.parametrize(
    ("ours", "browser", "library", "kind", "oracle"),
    [
        (Reading(code="image_corrupt"), show(photo()), REFUSAL, "refused", "browser"),
        (Reading(code="image_corrupt"), REFUSAL, show(photo()), "refused", "library"),
        (Reading(code="image_truncated"), show(photo(), is_partial=True), REFUSAL, "partial", "browser"),
        (Reading(code="image_corrupt"), REFUSAL, REFUSAL, "refused by both", "browser"),
        (show(photo()), REFUSAL, REFUSAL, "accepted", "browser"),
        (show(photo()), REFUSAL, show(photo()), "alike", "library"),
        (show(photo()), show(photo(), is_partial=True), REFUSAL, "alike", "browser"),
        (show(photo()), show(cutout(), is_partial=True), REFUSAL, "accepted", "browser"),
        (show(photo()), Reading(code="unsupported"), Reading(fault="hang"), "not compared", "library"),
        (Reading(fault="crash: SIGSEGV in normalize"), show(photo()), REFUSAL, "fault", "browser"),
    ],
)
def test_an_oracle_that_shows_the_whole_file_is_believed(
    ours: Reading, browser: Reading, library: Reading, kind: str, oracle: str
) -> None:
    finding = find(ours, {"browser": browser, "library": library})

    assert (finding.kind, finding.oracle) == (kind, oracle)


def test_a_refusal_by_an_oracle_that_does_not_know_the_format_says_nothing() -> None:
    assert find(show(photo()), {"browser": REFUSAL}, "tiff").kind == "not compared"
    assert find(Reading(code="unsupported_format"), {"browser": show(photo())}, ".ico").kind == "other format"


def test_a_preview_that_lost_its_transparency_differs() -> None:
    ours = show(cutout())
    flat = Image.new("RGB", cutout().size)
    broken = Reading(width=96, height=64, views=ours.views, preview=make_views(flat, ours.views[0].size))

    assert find(broken, {"browser": ours}).kind == "differs"


def test_noise_of_an_encoder_is_averaged_away_but_a_shift_is_not() -> None:
    noisy = ImageChops.add(photo(), Image.effect_noise((96, 64), 30).convert("RGB"), offset=-128)

    views, noise = make_views(photo(), (96, 64)), make_views(noisy, (96, 64))
    darker = make_views(photo().point(lambda level: level - 10), (96, 64))

    assert compare_roughly(noise, views).mean < compare_views(noise, views).mean / 3
    assert compare_roughly(darker, views).mean == pytest.approx(compare_views(darker, views).mean, rel=0.1)


def test_a_plain_colour_is_not_turned() -> None:
    stripes, plain = Image.effect_noise((64, 32), 200).convert("RGB"), Image.new("RGB", (64, 32), (128, 128, 128))
    views, others = make_views(stripes, (64, 32)), make_views(plain, (64, 32))

    assert find_turn(views, others, compare_views(views, others)) == ""


def test_the_worst_come_first_and_only_they_keep_their_views() -> None:
    images = [(Path(f"{name}.jpg"), "jpeg") for name in ("near", "far", "like")]
    levels = {"near": 110, "far": 200, "like": 100}

    class Different(TableProgram):
        def read(self, files: Iterable[Path]) -> Iterator[tuple[Path, Reading]]:
            yield from ((file, show(Image.new("RGB", (8, 8), (levels[file.stem],) * 3))) for file in files)

    ours = TableProgram("ours", show(Image.new("RGB", (8, 8), (100, 100, 100))))
    oracle = Different("browser", Reading())
    findings = sorted(compare_images(images, ours, [oracle], Thresholds(), kept=1), key=lambda each: each.order)

    assert [finding.file.stem for finding in findings] == ["far", "near", "like"]
    assert [bool(finding.theirs.views) for finding in findings] == [True, False, False]


def test_a_reading_is_the_same_after_it_was_saved(tmp_path: Path) -> None:
    reading = show(cutout(), is_partial=True)

    save_reading(reading, tmp_path / "reading")
    loaded = load_reading(tmp_path / "reading")

    assert loaded == reading
    assert [view.tobytes() for view in loaded.views] == [view.tobytes() for view in reading.views]
