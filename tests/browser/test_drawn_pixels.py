"""Every image that ./run pixels draws looks as Chromium shows it, but for the kinds that are named here.

The rules were measured in one version of Chromium. If another one shows an image differently, that is no fault of this
code yet: the test is skipped, and names the image.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from PIL import Image

from stages.errors import StageError
from stages.limits import Limits
from stages.normalize import normalize
from stages.rendition_spec import RenditionSpec
from stages.resize import resize
from stages.validate import validate
from tests.tools.pixels.child_program import ReadOptions
from tests.tools.pixels.chromium_program import FORMATS, ChromiumProgram, find_browser
from tests.tools.pixels.drawn import draw_images
from tests.tools.pixels.finding import PROBLEMS, Finding, Thresholds, judge
from tests.tools.pixels.reading import Reading, make_views

MEASURED_VERSION = "156"
LIMITS, EDGE = Limits(), 160
OPTIONS = ReadOptions(edge=EDGE, preview_edges=(EDGE,), limits=LIMITS, timeout=20, jobs=1)
THRESHOLDS = Thresholds(mean=1.5, p99=16)

# Why an image may look otherwise here: API.md, "Formats", and for faults of Chromium PIXELS.md, "What it cannot tell".
EXCEPTIONS: Mapping[str, Callable[[str, bytes], bool]] = {
    "the EXIF orientation of a WebP is obeyed": lambda name, content: name.endswith("webp") and b"EXIF" in content,
    "the ICC profile of an animated WebP is applied": lambda name, _: name == "webp animation ICC adobe.webp",
    "an alpha channel of a BMP that is zero everywhere is none": lambda name, _: name.endswith("alpha all 0.bmp"),
    "the last row of a BMP needs no padding": lambda name, _: (
        name in ("bmp lacks 1 bytes.bmp", "bmp lacks 3 bytes.bmp")
    ),
    "a JPEG of which pixels are missing is refused": lambda name, _: name.endswith("cut with EOI.jpg"),
    "a JPEG of which no pixels are missing is shown whole": lambda name, _: name == "jpeg baseline without EOI.jpg",
    "the alpha of an AVIF is of full range": lambda name, _: name == "avif graded alpha.avif",
    "an AVIF of a matrix that its canvas leaves blank is shown": lambda _, content: b"freenclx" in content,
}


def read_here(content: bytes) -> Reading:
    """Read as a job does: validate, normalize and a preview."""
    try:
        facts = validate(content, limits=LIMITS)
        master = normalize(content, edge=EDGE, limits=LIMITS)
    except StageError as error:
        return Reading(code=error.code, message=error.message)
    (variant,) = resize(master, RenditionSpec(edge=EDGE))
    with Image.open(io.BytesIO(variant.rendition.content)) as preview:
        views = make_views(preview.convert("RGBA" if preview.has_transparency_data else "RGB"), preview.size)
    whole = make_views(master.image(), master.image().size)
    return Reading(width=facts.width, height=facts.height, views=whole, preview=views)


@pytest.fixture
def findings(tmp_path: Path) -> Mapping[str, Finding]:
    """What each image comes to that Chromium knows the format of."""
    browser = find_browser()
    if browser is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("chromium is not on PATH")
    formats = {tmp_path / name: _format(name) for name, _ in draw_images() if _format(name) in FORMATS}
    for name, content in draw_images():
        (tmp_path / name).write_bytes(content)
    with ChromiumProgram(browser, OPTIONS) as chromium:
        return {
            file.name: judge(
                Finding(file=file, format=formats[file], kind="not compared", ours=read_here(file.read_bytes())),
                [chromium],
                {chromium.name: reading},
                THRESHOLDS,
            )
            for file, reading in chromium.read(formats)
        }


def _version() -> str:
    """Return the first number of the browser's version."""
    stated = subprocess.run([find_browser() or "", "--version"], capture_output=True, check=True, text=True).stdout
    number = re.search(r"\d+", stated)
    return number[0] if number else stated


def _format(name: str) -> str:
    suffix = Path(name).suffix[1:]
    return "jpeg" if suffix == "jpg" else suffix


def _reasons(finding: Finding) -> list[str]:
    content = finding.file.read_bytes()
    return [reason for reason, applies in EXCEPTIONS.items() if applies(finding.file.name, content)]


def test_images_look_as_chromium_shows_them(findings: Mapping[str, Finding]) -> None:
    found = {
        name: f"{finding.kind}: mean {finding.mean:.1f}, {finding.ours.message}"
        for name, finding in findings.items()
        if finding.kind in PROBLEMS and not _reasons(finding)
    }

    if found and _version() != MEASURED_VERSION:
        pytest.skip(f"Chromium {_version()} shows these otherwise than Chromium {MEASURED_VERSION}: {found}")
    assert found == {}
    assert len(findings) > 250
