"""The fuzzer: mutated files through every stage, in processes that may die of them. Exits 1 if one did."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from random import Random

from rich import box
from rich.console import Console
from rich.table import Table

from stages.errors import STAGE_ERRORS
from stages.formats import ACCEPTED_FORMATS, HEAD_BYTES, sniff
from tests.tools.fuzz.mutations import make_mutant
from tests.tools.fuzz.pool import FAULTS, Input, InputLimits, InputResult, Pool

SECONDS = 60
ALL = "all"
_MAX_KEPT_PER_FAULT = 3  # inputs kept of faults with the same detail


class Tally:
    """What became of the inputs of one format."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()
        self.codes: Counter[str] = Counter()
        self.seconds, self.slowest, self.resident = 0.0, 0.0, 0

    def add(self, result: InputResult) -> None:
        """Count one more."""
        self.kinds[result.kind] += 1
        if result.kind == "refused":
            self.codes[result.detail] += 1
        self.seconds += result.seconds
        self.slowest = max(self.slowest, result.seconds)
        self.resident = max(self.resident, result.resident)


def generate_mutants(seed: int, formats: tuple[str, ...]) -> Iterator[Input]:
    """Yield mutated files of each format in turn, for ever: the same for the same seed, whatever the other formats."""
    for number in count():
        for name in formats:
            rng = Random(f"{seed}/{name}/{number}")  # noqa: S311  to be repeated
            yield Input(f"{name}-{seed}-{number}", name, make_mutant(name, rng))


def read_inputs(files: list[Path]) -> Iterator[Input]:
    """Yield files as they are."""
    for file in files:
        content = file.read_bytes()
        found = sniff(content[:HEAD_BYTES])
        yield Input(file.stem, found.format if found else "?", content)


def limit_inputs(inputs: Iterator[Input], *, seconds: float | None, number: int | None) -> Iterator[Input]:
    """Yield inputs until there were enough of them, or the time is up."""
    start = time.monotonic()
    for index, given in enumerate(inputs):
        if number is not None and index >= number:
            return
        if seconds is not None and time.monotonic() - start > seconds:
            return
        yield given


def keep(result: InputResult, folder: Path) -> None:
    """Write an input down beside what was learned about it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{result.input.name}.{result.input.format}").write_bytes(result.input.content)
    (folder / f"{result.input.name}.txt").write_text(f"{result.kind}: {result.detail}\n\n{result.trace}\n")


def table(tallies: dict[str, Tally], seconds: float) -> Table:
    """Lay the tallies out, a format a row."""
    codes = [code for code in STAGE_ERRORS if any(tally.codes[code] for tally in tallies.values())]
    caption = f"{seconds:.0f} s. After refused: its codes. Peak: MiB resident above the idle process."
    result = Table("format", box=box.SIMPLE_HEAD, caption=caption, collapse_padding=True, pad_edge=False)
    for title in ("inputs", "done", "refused", *codes, *FAULTS, "peak", "slowest", "inputs/s"):
        result.add_column(title.removeprefix("image_").replace("_", "\n"), justify="right")
    for name, tally in tallies.items():
        inputs = tally.kinds.total()
        numbers = (inputs, tally.kinds["done"], tally.kinds["refused"], *(tally.codes[code] for code in codes))
        faults = (tally.kinds[kind] for kind in FAULTS)
        rate = inputs / (seconds if name == ALL else tally.seconds or 1)
        last = (f"{tally.resident >> 20}", f"{tally.slowest:.1f} s", f"{rate:.0f}")
        result.add_row(name, *map(str, (*numbers, *faults)), *last, style="bold" if name == ALL else "")
    return result


def fuzz(inputs: Iterator[Input], formats: tuple[str, ...], folder: Path, console: Console) -> int:
    """Try the inputs, say what was found as it is found, and return how many faults there were."""
    tallies, total, seen = {name: Tally() for name in formats}, Tally(), Counter[str]()
    start = time.monotonic()
    with Pool(formats, InputLimits()) as pool, suppress(KeyboardInterrupt):
        for result in pool.results(inputs):
            tallies.setdefault(result.input.format, Tally()).add(result)
            total.add(result)
            if result.kind not in FAULTS:
                continue
            fault = f"{result.kind}: {result.detail}"
            seen[fault] += 1
            if seen[fault] <= _MAX_KEPT_PER_FAULT:
                keep(result, folder)
                console.print(f"{fault}: {folder / result.input.name}", highlight=False)
    console.print(table({**tallies, ALL: total}, time.monotonic() - start))
    for fault, times in seen.most_common():
        console.print(f"{times:6} x {fault}", highlight=False)
    return seen.total()


def _parse_file(text: str) -> Path:
    if not Path(text).is_file():
        raise argparse.ArgumentTypeError(f"there is no file {text}")
    return Path(text)


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and fuzz; 1 if there was a fault."""
    parser = argparse.ArgumentParser(prog="./run fuzz", description=__doc__)
    parser.add_argument(
        "files", nargs="*", type=_parse_file, help="try these, as kept by an earlier run, and no others"
    )
    parser.add_argument("--seconds", type=float, help=f"for how long (default {SECONDS})")
    parser.add_argument("--inputs", type=int, help="how many, instead")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same inputs")
    parser.add_argument("--formats", nargs="+", choices=ACCEPTED_FORMATS, default=list(ACCEPTED_FORMATS))
    parser.add_argument("--keep", type=Path, default=Path(".darkroom/fuzz"), help="where inputs that did harm are kept")
    asked = parser.parse_args(arguments)
    seconds = asked.seconds or (None if asked.inputs or asked.files else SECONDS)
    formats = tuple(asked.formats)
    inputs = read_inputs(asked.files) if asked.files else generate_mutants(asked.seed, formats)
    console = Console(width=None if sys.stdout.isatty() else 160)
    return 1 if fuzz(limit_inputs(inputs, seconds=seconds, number=asked.inputs), formats, asked.keep, console) else 0


if __name__ == "__main__":
    sys.exit(main())
