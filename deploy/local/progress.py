"""The progress of a stack's start: a live line in a terminal, plain lines in a log."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from deploy.local.process_startup import StackObserver, State

PRINT_INTERVAL_SECONDS = 10  # between lines of a log that say that the start still waits
FRAMES_A_SECOND = 5


class StartProgress(StackObserver):
    """Shows which processes are ready, after how long, and which are still starting; says when the stack stops."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started_at = self._printed_at = time.monotonic()
        self._ready: dict[str, float] = {}
        self._waiting: list[str] = []
        self._live: Live | None = None
        self._spinner = Spinner("line")
        self._should_print_stop = False

    @property
    def seconds(self) -> float:
        """Seconds since the start began."""
        return time.monotonic() - self._started_at

    def on_starting(self, states: Mapping[str, State]) -> None:
        """Show the changes; in a log, say from time to time that the start still waits."""
        self._should_print_stop = True
        newly_ready = [name for name, state in states.items() if state == "ready" and name not in self._ready]
        self._ready |= dict.fromkeys(newly_ready, self.seconds)
        self._waiting = [name for name, state in states.items() if state == "starting"]
        if self._console.is_terminal:
            self._show(has_changes=bool(newly_ready))
        else:
            self._print_progress(newly_ready)

    def on_stopping(self) -> None:
        """Say that the stack is stopping, once per start."""
        self._end_live()
        if self._should_print_stop:
            self._should_print_stop = False
            with contextlib.suppress(OSError):  # the terminal may be closed
                self._console.print("Stopping ...")

    def __rich__(self) -> Spinner:
        ready = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in self._ready.items())
        line = f"{self.seconds:.0f} s  {len(self._ready)} of {len(self._ready) + len(self._waiting)} are ready"
        line += f" ({ready})" if ready else ""
        line += f"; waiting for {', '.join(self._waiting)}" if self._waiting else ""
        self._spinner.update(text=Text(line))
        return self._spinner

    def _show(self, *, has_changes: bool) -> None:
        if self._waiting and self._live is None:
            self._live = Live(
                self, console=self._console, refresh_per_second=FRAMES_A_SECOND, transient=True, redirect_stdout=False
            )
            self._live.start(refresh=True)
        elif not self._waiting:
            self._end_live()
        elif has_changes and self._live is not None:
            self._live.refresh()

    def _end_live(self) -> None:
        if self._live is not None:
            live, self._live = self._live, None
            with contextlib.suppress(OSError):
                live.stop()

    def _print_progress(self, newly_ready: list[str]) -> None:
        for name in newly_ready:
            self._console.print(f"  {name} is ready after {self._ready[name]:.1f} s", soft_wrap=True)
        if newly_ready:
            self._printed_at = time.monotonic()
        elif self._waiting and time.monotonic() - self._printed_at > PRINT_INTERVAL_SECONDS:
            self._printed_at = time.monotonic()
            self._console.print(f"  {self.seconds:.0f} s: still waiting for {', '.join(self._waiting)}", soft_wrap=True)
