"""What INT, TERM and HUP do to a command that has processes to stop before it may end."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator

INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Hold:
    """Whether an interrupt has to wait, and whether one waits."""

    is_on = False
    has_one = False


@contextlib.contextmanager
def interrupt_once() -> Iterator[None]:
    """Make the first of them a KeyboardInterrupt and ignore the rest, so that what is being stopped gets stopped."""

    def interrupt(*_: object) -> None:
        for number in INTERRUPTS:
            signal.signal(number, signal.SIG_IGN)
        if _Hold.is_on:
            _Hold.has_one = True
        else:
            raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in INTERRUPTS}
    for number in INTERRUPTS:
        if number != signal.SIGHUP or before[number] != signal.SIG_IGN:  # nohup stays nohup
            signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, action in before.items():
            signal.signal(number, action)


@contextlib.contextmanager
def defer_interrupts() -> Iterator[None]:
    """Let an interrupt wait until the block ends: for what must not be left half done, such as noting a new process."""
    _Hold.is_on = True
    try:
        yield
    finally:
        _Hold.is_on = False
        if _Hold.has_one:
            _Hold.has_one = False
            raise KeyboardInterrupt
