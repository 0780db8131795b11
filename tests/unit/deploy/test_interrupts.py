"""Only the first interrupt counts, and a block can defer it."""

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


def test_an_interrupt_is_deferred_to_the_end_of_the_block() -> None:
    steps = []

    def do_both() -> None:
        with defer_interrupts():
            os.kill(os.getpid(), signal.SIGTERM)
            steps.append("done")

    with interrupt_once(), pytest.raises(KeyboardInterrupt):
        do_both()

    assert steps == ["done"]
