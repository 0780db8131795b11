"""The output of `./run up` into a file on a full disk."""

from __future__ import annotations

import errno
import io

import pytest

from deploy.local.dropping_stream import DroppingStream
from gateway.cli.console import PlainTextConsole


class FailingStream(io.StringIO):
    """A stream whose buffer cannot be written."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number = number

    def flush(self) -> None:
        """Fail."""
        raise OSError(self._number, "a reason")


def test_a_full_disk_is_ignored_and_nothing_is_kept_for_later() -> None:
    console = PlainTextConsole(file=DroppingStream(FailingStream(errno.ENOSPC)))

    for _ in range(3):
        console.print("x" * 1000)

    assert console._buffer == []


def test_any_other_failure_is_an_error_as_before() -> None:
    with pytest.raises(OSError, match="a reason"):
        PlainTextConsole(file=DroppingStream(FailingStream(errno.EIO))).print("x")


def test_all_else_is_that_of_the_stream() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")

    assert (DroppingStream(stream).encoding, DroppingStream(stream).isatty()) == ("utf-8", False)
