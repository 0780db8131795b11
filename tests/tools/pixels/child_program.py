"""A program that reads each file in a child process: a crash, a hang or a memory bomb costs one file."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from stages.limits import Limits
from tests.tools.fuzz.child import Trial
from tests.tools.fuzz.pool import FAULTS, Input, InputLimits, InputResult, Pool
from tests.tools.pixels.reading import Reading, load_reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a child is told: the file, the folder for its reading, and how to read."""

    file: str
    result: str
    edge: int
    preview_edges: tuple[int, ...]
    limits: Limits

    def to_bytes(self) -> bytes:
        """Encode for the pipe to a child."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Decode in the child."""
        values = json.loads(content)
        return cls(**{**values, "limits": Limits(**values["limits"]), "preview_edges": tuple(values["preview_edges"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """How files are read, and how much each may take."""

    edge: int
    preview_edges: tuple[int, ...]
    limits: Limits
    timeout: float
    jobs: int


class ChildProgram:
    """Reads files by a trial: a function that takes an Order and answers with `refusal(code, message)` or nothing."""

    def __init__(self, name: str, formats: frozenset[str], trial: Trial, options: ReadOptions) -> None:
        self.name, self.formats = name, formats
        self._trial, self._options, self._stack = trial, options, ExitStack()

    def __enter__(self) -> Self:
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="darkroom-pixels-")))
        limits = InputLimits(seconds=self._options.timeout)
        pool = Pool((), limits, trial=self._trial, children=self._options.jobs)
        self._pool = self._stack.enter_context(pool)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def read(self, files: Iterable[Path]) -> Iterator[tuple[Path, Reading]]:
        """Yield one reading for each file, in the order in which they end."""
        for result in self._pool.results(map(self._input, files)):
            folder = self._folder / result.input.name
            yield Path(result.input.format), _to_reading(result, folder)
            shutil.rmtree(folder, ignore_errors=True)

    def _input(self, file: Path) -> Input:
        name = str(id(file))
        order = Order(
            file=str(file),
            result=str(self._folder / name),
            edge=self._options.edge,
            preview_edges=self._options.preview_edges,
            limits=self._options.limits,
        )
        return Input(name, str(file), order.to_bytes())


def refusal(code: str, message: str) -> str:
    """Return a trial's answer for a file that the program does not show."""
    return f"{code}: {message}"


def _to_reading(result: InputResult, folder: Path) -> Reading:
    if result.kind in FAULTS:
        return Reading(fault=f"{result.kind}: {result.detail}")
    if result.kind == "refused":
        code, _, message = result.detail.partition(": ")
        return Reading(code=code, message=message)
    return load_reading(folder)
