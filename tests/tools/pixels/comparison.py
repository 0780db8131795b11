"""All images through all programs, and a finding for each."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from tests.tools.pixels.finding import Finding, Thresholds, judge
from tests.tools.pixels.reading import Program

_BATCH = 64  # files that one program after the other reads


def compare_images(
    images: Sequence[tuple[Path, str]],
    ours: Program,
    oracles: Sequence[Program],
    thresholds: Thresholds,
    *,
    kept: int,
) -> Iterator[Finding]:
    """Yield a finding for each image, a file and its format.

    Only the `kept` worst of them keep their views: an archive may be large.
    """
    worst: list[Finding] = []
    with Progress(transient=True, disable=not sys.stderr.isatty(), console=Console(stderr=True)) as progress:
        bar = progress.add_task("comparing", total=len(images))
        for begin in range(0, len(images), _BATCH):
            findings = list(_compare_batch(images[begin : begin + _BATCH], ours, oracles, thresholds))
            worst = sorted([*worst, *findings], key=lambda finding: finding.order)
            for finding in worst[kept:]:
                _drop_views(finding)
            del worst[kept:]
            progress.advance(bar, len(findings))
            yield from findings


def _compare_batch(
    images: Sequence[tuple[Path, str]], ours: Program, oracles: Sequence[Program], thresholds: Thresholds
) -> Iterator[Finding]:
    readings = {program.name: dict(program.read([file for file, _ in images])) for program in (ours, *oracles)}
    for file, format_ in images:
        by_oracle = {oracle.name: readings[oracle.name][file] for oracle in oracles}
        finding = Finding(file=file, format=format_, kind="not compared", ours=readings[ours.name][file])
        yield judge(finding, oracles, by_oracle, thresholds)


def _drop_views(finding: Finding) -> None:
    finding.ours = replace(finding.ours, views=(), preview=())
    finding.theirs = replace(finding.theirs, views=())
