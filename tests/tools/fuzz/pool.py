"""Child processes under watch: a crash, a hang or a swollen child is found, and laid to the input that caused it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Literal, Self

from tests.tools.fuzz.child import ChildResult, Trial, serve
from tests.tools.fuzz.stage_runner import run_stages

Kind = Literal["done", "refused", "crash", "hang", "exception", "memory"]
FAULTS: tuple[Kind, ...] = ("crash", "hang", "exception", "memory")
_CONTEXT = multiprocessing.get_context("spawn")  # no threads or memory of the parent's
_TICK_SECONDS, _START_SECONDS, _EXIT_SECONDS = 0.02, 60, 2  # seconds


@dataclass(frozen=True, slots=True)
class Input:
    """A file to try: its name says how to make it again."""

    name: str
    format: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class InputLimits:
    """What one input may take: seconds for all stages together, and resident bytes above the idle process's."""

    seconds: float = 30
    resident: int = 1 << 30


@dataclass(frozen=True, slots=True)
class InputResult:
    """What became of an input, and in which stage; `detail` tells kinds of refusals and faults apart."""

    input: Input
    kind: Kind
    detail: str
    stage: str
    trace: str
    seconds: float
    resident: int


class Pool:
    """As many children as there are processors, each replaced when it dies."""

    def __init__(
        self, formats: tuple[str, ...], limits: InputLimits, *, trial: Trial = run_stages, children: int | None = None
    ) -> None:
        """Let each child warm up on the formats before what it takes is measured."""
        self._limits, self._serves = limits, (trial, formats)
        self._count = children or os.cpu_count() or 1
        self._folder = tempfile.TemporaryDirectory(prefix="darkroom-fuzz-")
        self._children: list[_Child] = []

    def __enter__(self) -> Self:
        self._children = [self._child(number) for number in range(self._count)]
        for child in self._children:
            child.await_ready()
        return self

    def __exit__(self, *_: object) -> None:
        for child in self._children:
            child.end()
        self._folder.cleanup()

    def results(self, inputs: Iterator[Input]) -> Iterator[InputResult]:
        """Try the inputs, yielding each one's result as it falls; takes no more from `inputs` than it has children."""
        idle, busy = list(self._children), dict[Connection, _Child]()
        while True:
            for content in islice(inputs, len(idle)):
                child = idle.pop()
                child.take(content)
                busy[child.connection] = child
            if not busy:
                return
            wait(list(busy), _TICK_SECONDS)
            for connection, child in list(busy.items()):
                if (result := child.result(self._limits)) is None:
                    continue
                del busy[connection]
                idle.append(child if child.process.is_alive() else self._replaced(child))
                yield result

    def _child(self, number: int) -> _Child:
        return _Child(Path(self._folder.name) / f"{number}.log", *self._serves)

    def _replaced(self, child: _Child) -> _Child:
        index = self._children.index(child)
        child.end()
        self._children[index] = self._child(index)
        self._children[index].await_ready()
        return self._children[index]


class _Child:
    def __init__(self, log: Path, trial: Trial, formats: tuple[str, ...]) -> None:
        self.connection, theirs = _CONTEXT.Pipe()
        self.process = _CONTEXT.Process(target=serve, args=(theirs, str(log), trial, formats), daemon=True)
        self.process.start()
        theirs.close()
        self._log, self._idle, self._stage, self._since = log, 0, "", 0.0
        self._input: Input

    def await_ready(self) -> None:
        if not self.connection.poll(_START_SECONDS):
            message = f"a child did not start within {_START_SECONDS} s: {self._log.read_text(errors='replace')}"
            raise RuntimeError(message)
        try:
            self._idle = self.connection.recv()
        except EOFError as error:
            message = f"a child did not survive its start: {self._read_log_end()}"
            raise RuntimeError(message) from error

    def take(self, given: Input) -> None:
        self._input, self._stage, self._since = given, "", time.monotonic()
        with suppress(BrokenPipeError):  # it died between two inputs: the result says so
            self.connection.send_bytes(given.content)

    def result(self, limits: InputLimits) -> InputResult | None:
        """Return what has become of the input by now, ending the process if it is over a cap, or None."""
        try:
            while self.connection.poll():
                message = self.connection.recv()
                if isinstance(message, ChildResult):
                    return self._handle_child_result(message, limits)
                self._stage = str(message)
        except (EOFError, ConnectionResetError):
            return self._record_crash()
        if time.monotonic() - self._since > limits.seconds:
            return self._abort("hang", f"over {limits.seconds:g} s in {self._stage}", 0)
        if (resident := _resident(self.process.pid) - self._idle) > limits.resident:
            return self._abort("memory", f"over {limits.resident >> 20} MiB in {self._stage}", resident)
        return None

    def end(self) -> None:
        self.connection.close()
        self.process.kill()
        self.process.join()

    def _handle_child_result(self, outcome: ChildResult, limits: InputLimits) -> InputResult:
        resident = outcome.peak - self._idle
        if outcome.exception:
            return self._make_result("exception", outcome.exception, outcome.trace, resident)
        if resident > limits.resident:
            return self._make_result("memory", f"over {limits.resident >> 20} MiB", "", resident)
        return self._make_result("refused" if outcome.code else "done", outcome.code, "", resident)

    def _record_crash(self) -> InputResult:
        self.process.join(_EXIT_SECONDS)
        self.process.kill()  # if only its end of the pipe is gone
        self.process.join()
        status = self.process.exitcode
        name = signal.Signals(-status).name if status is not None and status < 0 else f"exit {status}"
        return self._make_result("crash", f"{name} in {self._stage}", self._read_log_end(), 0)

    def _abort(self, kind: Kind, detail: str, resident: int) -> InputResult:
        with suppress(ProcessLookupError):
            os.kill(self.process.pid or 0, signal.SIGABRT)  # faulthandler writes down where it was
        self.process.join(_EXIT_SECONDS)
        self.process.kill()
        self.process.join()
        return self._make_result(kind, detail, self._read_log_end(), resident)

    def _make_result(self, kind: Kind, detail: str, trace: str, resident: int) -> InputResult:
        seconds = time.monotonic() - self._since
        return InputResult(self._input, kind, detail, self._stage, trace, seconds, max(0, resident))

    def _read_log_end(self) -> str:
        return self._log.read_text(errors="replace")[-4000:]


def _resident(pid: int | None) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (FileNotFoundError, ProcessLookupError):  # it has ended, or there is no /proc: its own peak will tell
        return 0
