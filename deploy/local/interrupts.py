"""Handling of INT, TERM and HUP by a command that has to stop its processes before it ends."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator

INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Deferral:
    """Whether interrupts are deferred, and whether one is pending."""

    is_deferring = False
    is_pending = False


@contextlib.contextmanager
def interrupt_once() -> Iterator[None]:
    """Raise KeyboardInterrupt for the first signal. Ignore later ones, so that they cannot interrupt the clean-up."""

    def interrupt(*_: object) -> None:
        for number in INTERRUPTS:
            signal.signal(number, signal.SIG_IGN)
        if _Deferral.is_deferring:
            _Deferral.is_pending = True
        else:
            raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in INTERRUPTS}
    for number in INTERRUPTS:
        if number != signal.SIGHUP or before[number] != signal.SIG_IGN:  # under nohup, HUP stays ignored
            signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, action in before.items():
            signal.signal(number, action)


@contextlib.contextmanager
def defer_interrupts() -> Iterator[None]:
    """Defer an interrupt to the end of the block, for a step that must complete, such as recording a new process."""
    _Deferral.is_deferring = True
    try:
        yield
    finally:
        _Deferral.is_deferring = False
        if _Deferral.is_pending:
            _Deferral.is_pending = False
            raise KeyboardInterrupt
