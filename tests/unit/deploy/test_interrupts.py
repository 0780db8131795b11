"""An interrupt ends a command once, and never in the middle of what must be whole."""

from __future__ import annotations

import os
import signal

import pytest

from deploy.local.interrupts import defer_interrupts, interrupt_once


def test_the_second_interrupt_is_ignored() -> None:
    with interrupt_once():
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)

        os.kill(os.getpid(), signal.SIGINT)


def test_an_interrupt_waits_for_the_end_of_what_must_be_whole() -> None:
    steps = []

    def do_both() -> None:
        with defer_interrupts():
            os.kill(os.getpid(), signal.SIGTERM)
            steps.append("done")

    with interrupt_once(), pytest.raises(KeyboardInterrupt):
        do_both()

    assert steps == ["done"]
