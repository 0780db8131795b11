"""Waiting until the processes of a stack do their work, and saying why one of them never does."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from deploy.local.supervisord_control import PortInUse, StackError

READY_SECONDS = 90  # without any process becoming ready
POLL_SECONDS = 0.1
MAX_RESTARTS = 3  # while it starts: more, and it will not come up
TAIL_LINES = 20
FULL_BYTES = 1 << 20
PORT_IN_USE, NO_SPACE = "address already in use", "no space left on device"  # as every program here reports errno

State = Literal["starting", "ready", "left out"]


class StackObserver:
    """Sees what happens to a stack; this one ignores it."""

    def on_starting(self, states: Mapping[str, State]) -> None:
        """See how far each process is; called again and again until none is starting."""

    def on_stopping(self) -> None:
        """See that everything is going to be stopped; may be called twice, and without a start before."""


@dataclass(kw_only=True)
class PendingProcess:
    """One process that is not ready yet; its log is that of this start."""

    name: str
    folder: Path
    port: int  # on which nobody else may listen, or 0
    is_optional: bool
    is_ready: Callable[[], bool]
    is_supervised: Callable[[], bool]
    find_pid: Callable[[], int]
    read_log: Callable[[], str]
    _pids: set[int] = field(default_factory=set, init=False)

    def find_failure(self, *, is_late: bool) -> StackError | None:
        """Return why the process will not become ready; None while it still may."""
        if not self.is_supervised():
            return StackError("supervisord ended")
        pid = self.find_pid()
        self._pids |= {pid} - {0}
        has_ended = not pid or len(self._pids) > 1
        if has_ended and self.port and PORT_IN_USE in self.read_log().lower():
            return PortInUse(self.port, self.name)
        if is_late or len(self._pids) > MAX_RESTARTS:
            return self._describe()
        return None

    def _describe(self) -> StackError:
        log = self.read_log()
        if NO_SPACE in log.lower() or shutil.disk_usage(self.folder).free < FULL_BYTES:
            return StackError(f"The disk of {self.folder} is full: the {self.name} did not become ready.")
        said = "\n".join(log.splitlines()[-TAIL_LINES:])
        return StackError(
            f"{self.name} did not become ready. What it wrote last, to {self.folder / 'logs' / self.name}.log:\n{said}"
        )


def wait_for_all(
    waits: Sequence[PendingProcess], observer: StackObserver | None = None, *, seconds: float = READY_SECONDS
) -> dict[str, StackError]:
    """Return once all processes are ready, `seconds` at most after the last one that became so.

    The answer has the optional processes that will not be, each with the reason. StackError where another will not be.
    """
    states: dict[str, State] = dict.fromkeys((wait.name for wait in waits), "starting")
    skipped_processes: dict[str, StackError] = {}
    deadline = time.monotonic() + seconds
    while True:
        if observer:
            observer.on_starting(states)
        if "starting" not in states.values():
            return skipped_processes
        for wait in waits:
            if states[wait.name] != "starting":
                continue
            if wait.is_ready():
                states[wait.name], deadline = "ready", time.monotonic() + seconds
            elif failure := wait.find_failure(is_late=time.monotonic() > deadline):
                if not wait.is_optional:
                    raise failure
                states[wait.name], skipped_processes[wait.name] = "left out", failure
        if "starting" in states.values():
            time.sleep(POLL_SECONDS)
