"""Hold every image of a folder against what a browser, or libvips, makes of it."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from itertools import islice
from pathlib import Path

from rich.console import Console

from pipeline.settings import Settings
from pipeline.settings_mistakes import find_mistakes
from tests.tools.pixels.archive import find_format, list_files
from tests.tools.pixels.child_program import ReadOptions
from tests.tools.pixels.chromium_program import ChromiumProgram, find_browser
from tests.tools.pixels.command_line import Options, parse_arguments
from tests.tools.pixels.comparison import compare_images
from tests.tools.pixels.drawn import write_images
from tests.tools.pixels.finding import PROBLEMS, Finding
from tests.tools.pixels.reading import Program
from tests.tools.pixels.report import make_summary, print_report, write_report
from tests.tools.pixels.sheet import draw_sheet
from tests.tools.pixels.stages_program import make_stages_program
from tests.tools.pixels.vips_program import is_available, make_vips_program

_FINDINGS, _USAGE = 1, 2


def main(arguments: list[str] | None = None) -> int:
    """Compare and report; return 1 if an image is worth a look."""
    options = parse_arguments(arguments)
    if mistakes := find_mistakes():
        print(*mistakes, sep="\n", file=sys.stderr)  # noqa: T201
        return _USAGE
    start = time.monotonic()
    with ExitStack() as stack:
        paths = [*options.paths, *([_draw(stack)] if options.drawn else [])]
        files = list(list_files(paths))
        _say_unreadable([file for file in files if not os.access(file, os.R_OK)])
        formats = ((file, find_format(file)) for file in files)
        images = list(islice(((file, format_) for file, format_ in formats if format_), options.limit))
        ours, *oracles = _start_programs(options, stack)
        if not oracles and options.oracle not in {"auto", "none"}:
            return _USAGE
        findings: list[Finding] = []
        with suppress(KeyboardInterrupt):  # the report tells of what was compared by then
            findings.extend(compare_images(images, ours, oracles, options.thresholds, kept=options.worst))
    findings.sort(key=lambda finding: finding.order)
    console = Console(width=None if sys.stdout.isatty() else 200)
    print_report(findings, options.folder, options.worst, console)
    if options.report:
        write_report(findings, options.report, options.folder)
    problems = [finding for finding in findings if finding.kind in PROBLEMS]
    if options.sheet and problems:
        draw_sheet(problems[: options.worst], options.folder).save(options.sheet, format="PNG")
    skipped = 0 if options.limit else len(files) - len(images)
    console.print(make_summary(findings, skipped, time.monotonic() - start), style="bold", highlight=False)
    return _FINDINGS if problems else 0


def _draw(stack: ExitStack) -> Path:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="darkroom-pixels-"))) / "drawn"
    folder.mkdir()
    write_images(folder)
    return folder


def _start_programs(options: Options, stack: ExitStack) -> list[Program]:
    """Start Darkroom and the oracles, and say which oracle is missing."""
    settings = Settings()
    read_options = ReadOptions(
        edge=options.edge,
        preview_edges=tuple(sorted(set(settings.renditions.values()))),
        limits=settings.limits,
        timeout=options.timeout,
        jobs=options.jobs,
    )
    programs: list[Program] = [stack.enter_context(make_stages_program(read_options))]
    if options.oracle in {"auto", "chromium"}:
        if browser := options.browser or find_browser():
            programs.append(stack.enter_context(ChromiumProgram(browser, read_options)))
        else:
            _say_missing("Chromium", "no Chromium or Chrome is on PATH; --browser names one")
    if options.oracle in {"auto", "vips"}:
        if is_available():
            programs.append(stack.enter_context(make_vips_program(read_options)))
        else:
            _say_missing("libvips", "the Python package pyvips is not installed")
    return programs


def _say_unreadable(files: list[Path]) -> None:
    for file in files[:1]:
        others = f", and {len(files) - 1} others cannot" if len(files) > 1 else ""
        print(f"run: {str(file)!a} cannot be read{others}.", file=sys.stderr)  # noqa: T201


def _say_missing(oracle: str, reason: str) -> None:
    print(f"run: {oracle} is not asked: {reason}.", file=sys.stderr)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
