"""Wait until the processes of a stack are ready, and explain why one of them does not become ready."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from deploy.local.supervisord_control import PortInUse, StackError

READY_SECONDS = 90  # since a process last became ready
POLL_SECONDS = 0.1
MAX_RESTARTS = 3  # after more restarts, the start has failed
TAIL_LINES = 20
FULL_BYTES = 1 << 20
PORT_IN_USE, NO_SPACE = (
    "address already in use",
    "no space left on device",
)  # errno messages, the same in every program here

State = Literal["starting", "ready", "left out"]


class StackObserver:
    """Is called when a stack starts and stops. This base class does nothing."""

    def on_starting(self, states: Mapping[str, State]) -> None:
        """Receive the state of each process. Called repeatedly until no process is starting."""

    def on_stopping(self) -> None:
        """Called before everything is stopped. May be called twice, and without an earlier start."""


@dataclass(kw_only=True)
class PendingProcess:
    """One process that is not ready yet. Its log begins at this start."""

    name: str
    folder: Path
    port: int  # must not be in use by another program; 0: not checked
    is_optional: bool
    is_ready: Callable[[], bool]
    is_supervised: Callable[[], bool]
    find_pid: Callable[[], int]
    read_log: Callable[[], str]
    _pids: set[int] = field(default_factory=set, init=False)

    def find_failure(self, *, is_late: bool) -> StackError | None:
        """Return why the process will not become ready; None while it still can."""
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
        last_lines = "\n".join(log.splitlines()[-TAIL_LINES:])
        return StackError(
            f"{self.name} did not become ready. The end of {self.folder / 'logs' / self.name}.log:\n{last_lines}"
        )


def wait_for_all(
    waits: Sequence[PendingProcess], observer: StackObserver | None = None, *, seconds: float = READY_SECONDS
) -> dict[str, StackError]:
    """Return when all processes are ready. Fails `seconds` after the last process became ready.

    Returns the optional processes that failed, with the reasons. StackError if another process fails.
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
