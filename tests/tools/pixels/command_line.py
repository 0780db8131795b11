"""The arguments of ./run pixels."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path
from shutil import which

from tests.tools.pixels.finding import MEANINGS, PROBLEMS, Thresholds

ORACLES = ("auto", "chromium", "vips", "none")
_DESCRIPTION = """\
Hold every image of a folder against what a browser, or libvips, makes of it; the worst first.

Each image goes through validate, normalize and the previews, with the limits and the previews that DARKROOM_* set, as
an upload would. No server is needed, nothing is sent anywhere, and the files are only read.
"""
_EPILOG = f"""\
An oracle is another program that shows the same file: Chromium (or Chrome), and libvips by the Python package pyvips.
"auto" asks all that are installed, and believes Chromium where it shows the whole file, else libvips. Both sides are
averaged down to the same small size, laid over black and over white, and compared channel by channel. `mean` is the
mean difference in levels of 255; 99 of 100 differences are at most `p99`. `preview mean` is that of the largest
preview, of averages over blocks of pixels, because it is encoded with losses.

kinds of result:
{"".join(f"  {kind:17}{meaning}{chr(10)}" for kind, meaning in MEANINGS.items())}
The exit status is 1 if an image is worth a look ({", ".join(PROBLEMS)}), 0 if none is, 2 for a wrong argument.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What was asked for. `folder` is what file names in the report are relative to."""

    paths: list[Path]
    folder: Path
    oracle: str
    browser: str | None
    limit: int | None
    edge: int
    thresholds: Thresholds
    worst: int
    report: Path | None
    sheet: Path | None
    drawn: bool
    jobs: int
    timeout: float


def parse_arguments(arguments: list[str] | None) -> Options:
    """Parse the command line; end the process if it is wrong."""
    parser = argparse.ArgumentParser(
        prog="./run pixels",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_input(parser)
    _add_output(parser)
    parser.add_argument("--directory", type=Path, default=Path(), help=argparse.SUPPRESS)  # where `./run` was called
    given = vars(parser.parse_args(arguments))
    base: Path = given.pop("directory")
    paths = given["paths"] = [base / path for path in given["paths"]]
    if not paths and not given["drawn"]:
        parser.error("name a folder")
    for path in paths:
        if not path.exists():
            parser.error(f"there is no file or folder {path}")
    for name in ("report", "sheet"):
        given[name] = given[name] and base / given[name]
        if given[name] and not _is_writable(given[name]):
            parser.error(f"argument --{name}: {given[name]} cannot be written")
    if browser := given["browser"]:
        given["browser"] = which(str(base / browser) if os.sep in browser else browser)
        if not given["browser"]:
            parser.error(f"argument --browser: there is no program {browser}")
    thresholds = Thresholds(given.pop("mean"), given.pop("p99"))
    folder = next((path if path.is_dir() else path.parent for path in paths), base)
    return Options(folder=folder, thresholds=thresholds, **given)


def _add_input(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", nargs="*", type=Path, metavar="FOLDER", help="a folder with its subfolders, or files")
    parser.add_argument("--oracle", choices=ORACLES, default="auto", help="what to compare with (default auto)")
    parser.add_argument("--browser", metavar="PROGRAM", help="a Chromium or Chrome that is not on PATH")
    parser.add_argument(
        "--drawn", action="store_true", help="also images that it draws itself, one of each kind that a format has"
    )
    parser.add_argument("--limit", type=_parse_count, metavar="N", help="only the first N images")
    parser.add_argument(
        "--edge", type=_parse_count, default=128, metavar="PIXELS", help="longest side to compare at (default 128)"
    )
    parser.add_argument(
        "--jobs", type=_parse_count, default=os.cpu_count() or 1, metavar="N", help="processes (default: one a core)"
    )
    parser.add_argument(
        "--timeout", type=float, default=30, metavar="SECONDS", help="for one image in one program (default 30)"
    )


def _add_output(parser: argparse.ArgumentParser) -> None:
    usual = Thresholds()
    parser.add_argument(
        "--mean",
        type=float,
        default=usual.mean,
        metavar="LEVELS",
        help=f"largest mean of like images (default {usual.mean:g})",
    )
    parser.add_argument(
        "--p99", type=int, default=usual.p99, metavar="LEVELS", help=f"largest p99 of like images (default {usual.p99})"
    )
    parser.add_argument(
        "--worst", type=_parse_count, default=20, metavar="N", help="rows of each table, and of the sheet (default 20)"
    )
    parser.add_argument(
        "--report", type=_parse_report, metavar="FILE", help="write all results, as .json or .csv by the name"
    )
    parser.add_argument(
        "--sheet", type=Path, metavar="FILE.png", help="draw the worst: as the oracle shows it, as here, the difference"
    )


def _is_writable(file: Path) -> bool:
    return os.access(file if file.exists() else file.parent, os.W_OK) and not file.is_dir()


def _parse_count(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return number


def _parse_report(text: str) -> Path:
    path = Path(text)
    if path.suffix.lower() not in {".json", ".csv"}:
        raise argparse.ArgumentTypeError(f"{text} ends in neither .json nor .csv")
    return path
