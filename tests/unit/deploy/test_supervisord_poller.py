"""supervisord's loop: it sleeps until something happens."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from math import inf
from types import SimpleNamespace

import pytest

from deploy.local.supervisord_main import Poller

HOURS = 10_000.0

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="supervisord does not run there")


@pytest.fixture
def poller() -> Iterator[Poller]:
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    wakeup = signal.set_wakeup_fd(-1)
    poller = Poller(SimpleNamespace(get_socket_map=dict))
    yield poller
    poller.close()
    signal.set_wakeup_fd(wakeup)
    signal.signal(signal.SIGUSR1, before)


def test_a_signal_ends_the_sleep(poller: Poller) -> None:
    poller._last_event = -inf
    signal.raise_signal(signal.SIGUSR1)

    assert poller.poll(HOURS) == ([], [])


def test_the_sleeps_after_a_signal_are_short(poller: Poller) -> None:
    poller._last_event = -inf
    signal.raise_signal(signal.SIGUSR1)
    poller.poll(HOURS)

    assert poller.poll(HOURS) == ([], [])


def test_output_of_a_child_is_reported_until_it_is_read(poller: Poller) -> None:
    reader, writer = os.pipe()
    poller.register_readable(reader)
    os.write(writer, b"a line\n")

    assert [poller.poll(HOURS), poller.poll(HOURS)] == [([reader], [])] * 2
    os.close(reader)
    os.close(writer)


def test_a_signal_does_not_wait_for_the_next_output(poller: Poller) -> None:
    reader, writer = os.pipe()
    poller.register_readable(reader)
    os.write(writer, b"a line\n")
    poller.poll(HOURS)
    os.read(reader, 100)
    poller._last_event = -inf

    signal.raise_signal(signal.SIGUSR1)

    assert poller.poll(HOURS) == ([], [])
    os.close(reader)
    os.close(writer)
