"""What every scenario is given: the photos, the options, a folder, and somewhere to print."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.tools.bench.corpus import Corpus
from tests.tools.bench.sample import Sample

Figures = dict[str, Any]
"""What a scenario found, as it goes into the JSON file."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What was asked for on the command line; None leaves a number to the scenario."""

    photos: Path | None = None
    peer: Path | None = None
    against: Path | None = None
    parts: tuple[str, ...] = ()
    broker: str = "redis"
    blobs: str = "folder"
    still: float = 30.0
    minutes: float = 10.0
    py_spy: Path | None = None
    jobs: int | None = None
    in_flight: int = 16
    rounds: int | None = None
    deep: bool = False
    burst: int = 200
    cores: int | None = None
    rate: float | None = None
    write: bool = False
    json: Path

    def label(self, scenario: str) -> str:
        """Return the name of a scenario's figures: with other servers than the usual ones, they stand beside those."""
        usual = ("redis", "folder")
        return ", ".join([scenario, *(server for server in (self.broker, self.blobs) if server not in usual)])


class Bench:
    """One run of the benchmark."""

    def __init__(self, options: Options, console: Console, folder: Path) -> None:
        self.options = options
        self.corpus = Corpus(options.photos)
        self.console = console
        self._folder = folder

    def jobs(self, default: int) -> int:
        """Return how many jobs to send."""
        return self.options.jobs or default

    def folder(self, name: str) -> Path:
        """Return a path for files of one stack; removed in the end."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self._folder))

    def say(self, line: str) -> None:
        """Print a line."""
        self.console.print(line, soft_wrap=True)

    def show(self, title: str, headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Print a table: the first column is words, the others are figures."""
        self.console.print(f"\n[bold]{escape(title)}[/bold]", soft_wrap=True)
        table = Table()
        for number, heading in enumerate(headings):
            table.add_column(heading, justify="right" if number else "left", overflow="fold")
        for row in rows:
            table.add_row(*map(format_figure, row))
        self.console.print(table)

    def show_samples(self, title: str, samples: Sequence[tuple[str, Sample]]) -> None:
        """Print rates, times and costs of some runs."""
        headings = ["", "jobs/s", "p50 ms", "p95 ms", "CPU ms", "Redis", "Mongo", "driver's CPU ms"]
        rows = [
            (name, each.rate, each.p50_ms, each.p95_ms, each.cpu_ms, found["redis_commands"], told, each.driver_cpu_ms)
            for name, each in samples
            for found in [each.figures()]
            for told in ["not told" if found["mongo_operations"] is None else found["mongo_operations"]]
        ]
        self.show(f"{title}; costs, commands and operations are for one job", headings, rows)

    def show_costs(self, title: str, sample: Sample) -> None:
        """Print what each process used, and where a job's time went."""
        found = sample.figures()
        rows = [(name, ms, found["rss_mib"][name]) for name, ms in found["cpu_ms_by_process"].items() if ms]
        self.show(f"{title}: processes", ["", "CPU ms/job", "RSS MiB"], rows)
        if found["stages"]:
            stages = [(name, times["wait_ms"], times["run_ms"]) for name, times in found["stages"].items()]
            self.show(f"{title}: stages, medians", ["", "waits ms", "runs ms"], stages)


def format_figure(value: object) -> str:
    """Write a number with three digits that count, and anything else as it is."""
    if not isinstance(value, float):
        return "-" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}" if abs(value) < 100 else f"{value:,.0f}"
