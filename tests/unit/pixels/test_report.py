"""What ./run pixels prints, writes and draws, and which files it takes for images."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

from tests.support.images import encode_image, photo
from tests.tools.pixels.archive import find_format, list_files
from tests.tools.pixels.difference import Difference
from tests.tools.pixels.finding import Finding
from tests.tools.pixels.reading import Reading, make_views
from tests.tools.pixels.report import make_summary, print_report, write_report
from tests.tools.pixels.sheet import describe, draw_sheet

FOLDER = Path("/archive")
VIEWS = make_views(photo(), (96, 64))
TURNED = tuple(view.transpose(Image.Transpose.ROTATE_90) for view in VIEWS)


@pytest.fixture
def findings() -> list[Finding]:
    """One that differs, by a name that no terminal can show, one that is refused, and one that is alike."""
    shown = Reading(width=96, height=64, views=VIEWS)
    return [
        Finding(
            file=FOLDER / "a\udcff[b].png",
            format="png",
            kind="differs",
            ours=shown,
            oracle="chromium",
            theirs=Reading(width=64, height=96, views=TURNED),
            difference=Difference(12.5, 80, 1),
            turn="turn left",
        ),
        Finding(
            file=FOLDER / "sub/cut.jpg",
            format="jpeg",
            kind="refused",
            ours=Reading(code="image_truncated", message="The image file is truncated."),
            oracle="libvips",
            theirs=shown,
        ),
        Finding(file=FOLDER / "fine.jpg", format="jpeg", kind="alike", ours=shown, difference=Difference(0, 0)),
    ]


def test_the_report_for_people_has_each_problem_and_the_counts(findings: list[Finding]) -> None:
    console = Console(file=io.StringIO(), width=200)

    print_report(findings, FOLDER, 10, console)

    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert "a?[b].png" in printed
    assert "turn left" in printed
    assert "1  jpeg  image_truncated: The image file is truncated." in printed
    assert "1  alike" in printed
    assert "fine.jpg" not in printed
    assert make_summary(findings, 7, 3.2) == (
        "3 images in 3 s: 2 compared, 1 of them alike; 2 worth a look; 7 other files skipped"
    )


@pytest.mark.parametrize("name", ["report.json", "report.csv"])
def test_the_report_for_programs_has_every_file(findings: list[Finding], name: str, tmp_path: Path) -> None:
    write_report(findings, tmp_path / name, FOLDER)

    content = (tmp_path / name).read_text(encoding="utf-8")
    rows = json.loads(content) if name.endswith("json") else list(csv.DictReader(io.StringIO(content)))
    assert [row["file"] for row in rows] == ["a?[b].png", "sub/cut.jpg", "fine.jpg"]
    assert (rows[0]["size"], rows[0]["oracle_size"], float(rows[0]["mean"]), int(rows[0]["p99"])) == (
        "96x64", "64x96", 12.5, 80,
    )  # fmt: skip
    assert (rows[1]["code"], rows[1]["oracle"]) == ("image_truncated", "libvips")


def test_the_contact_sheet_shows_the_oracle_ours_and_the_difference(findings: list[Finding]) -> None:
    sheet = draw_sheet(findings, FOLDER)

    tops = [33 + row * 168 for row in range(3)]
    assert sheet.height == tops[-1] + 168
    columns = [8 + column * 168 for column in range(3)]
    tiles = [sheet.crop((left, tops[0], left + 160, tops[0] + 160)).tobytes() for left in columns]
    assert len(set(tiles)) == len(columns)


def test_the_contact_sheet_says_what_is_wrong_in_whole_words() -> None:
    message = "This is a camera's raw file, such as a DNG, NEF or CR2. Develop it and save it as a JPEG."
    shown, refused = Reading(width=96, height=64, views=VIEWS), Reading(code="unsupported_format", message=message)
    finding = Finding(
        file=FOLDER / "a.dng", format="tiff", kind="refused", ours=refused, oracle="libvips", theirs=shown
    )

    assert describe(finding, FOLDER) == [
        "a.dng",
        "refused, tiff, libvips",
        "96 x 64, here not shown",
        "unsupported_format This is a camera's raw file, such as a DNG,",
        "NEF or CR2. Develop it and save it as a JPEG.",
    ]


def test_an_image_is_known_by_its_bytes_or_else_by_its_name(tmp_path: Path) -> None:
    contents = {
        "photo.txt": encode_image(photo(), "jpeg"),
        "broken.bmp": b"no BMP",
        "icon.ico": b"\0\0\1\0",
        "drawing.svg": b"<svg/>",
        "notes.txt": b"notes",
        "empty.png": b"",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)

    formats = {file.name: find_format(file) for file in list_files([tmp_path])}

    assert formats == {
        "photo.txt": "jpeg",
        "broken.bmp": "bmp",
        "icon.ico": ".ico",
        "drawing.svg": "",
        "notes.txt": "",
        "empty.png": "",
    }
