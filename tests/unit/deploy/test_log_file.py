"""The logs of supervisord on a full disk."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path
from typing import Any

import pytest
from supervisor import loggers

from deploy.local.log_file import LogFile

LINE = b"0123456789\n"


class SmallDisk(io.FileIO):
    """A file on a disk that takes `free` more bytes."""

    free = 0

    def write(self, content: Any) -> int:
        """Write what there is room for."""
        taken = bytes(content)[: self.free]
        if not taken:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.free -= len(taken)
        return super().write(taken)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "a.log"


def log_to(file: Path, *, max_bytes: int = 1000) -> tuple[loggers.Logger, LogFile]:
    """Return a log of the output of a process, and its handler."""
    handler, log = LogFile(str(file), "a", max_bytes, 1), loggers.getLogger()
    log.addHandler(handler)
    return log, handler


def test_what_a_full_disk_does_not_take_is_dropped_and_counted(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log, handler = log_to(file)
    disk = SmallDisk(file, "ab")
    handler.stream.close()
    handler.stream = io.BufferedWriter(disk)

    disk.free = len(LINE) + 4
    for _ in range(3):
        log.info(LINE)
    disk.free = 1000
    log.info(LINE)
    handler.close()

    assert file.read_bytes() == LINE + LINE[:4] + b"\n22 bytes of this log could not be written.\n" + LINE
    assert capsys.readouterr() == ("", "")


def test_messages_of_supervisord_itself_are_lines(file: Path) -> None:
    log, handler = log_to(file)
    handler.setFormat("%(levelname)s %(message)s\n")

    log.info("spawned: %(name)s", name="gateway")
    handler.close()

    assert file.read_text() == "INFO spawned: gateway\n"


def test_a_log_is_rotated(file: Path) -> None:
    log, handler = log_to(file, max_bytes=len(LINE))

    log.info(LINE)
    log.info(LINE[:5])
    handler.close()

    assert (file.with_suffix(".log.1").read_bytes(), file.read_bytes()) == (LINE, LINE[:5])


def test_a_log_that_cannot_be_rotated_goes_on(file: Path) -> None:
    file.with_suffix(".log.1").mkdir()
    log, handler = log_to(file, max_bytes=len(LINE))

    log.info(LINE)
    log.info(LINE)
    handler.close()

    assert file.read_bytes() == LINE * 2
