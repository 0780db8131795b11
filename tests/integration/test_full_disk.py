"""A stack's supervisord, whose logs are on a disk that fills up and is emptied again."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from deploy.local import processes
from deploy.local.processes import Process
from deploy.local.supervisord_control import STACK_MIN_FREE_BYTES, Supervisord
from tests.integration.api_helpers import wait_until
from tests.support.small_disks import mount_small_disk

TALK = "import itertools, time; [print('x' * 400, flush=True) or time.sleep(0.01) for _ in itertools.count()]"
SLEEP = "import time; time.sleep(3600)"
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk as small as a stack may have."""
    with mount_small_disk(tmp_path, STACK_MIN_FREE_BYTES + (1 << 20)) as folder:
        yield folder


@pytest.fixture
def supervisord(small_disk: Path) -> Iterator[Supervisord]:
    """One that runs a program that talks without a pause, and a silent one."""
    found = Supervisord(small_disk / "stack")
    found.prepare()
    programs = {"talk": TALK, "sleep": SLEEP}
    subjects = [
        Process(name=name, group="subjects", command=(sys.executable, "-c", code)) for name, code in programs.items()
    ]
    try:
        found.start(processes.render_configuration(subjects, socket_settings=found.socket_settings), {})
        yield found
    finally:
        found.stop()


def pid(supervisord: Supervisord, name: str) -> int:
    """Return the process id of a subject; 0 while it does not run."""
    return int(supervisord.call("getProcessInfo", f"subjects:{name}")["pid"])


def test_a_full_disk_ends_no_process_and_logs_go_on_later(supervisord: Supervisord, small_disk: Path) -> None:
    log, filler = supervisord.logs / "talk.log", small_disk / "filler"
    wait_until(lambda: log.exists() and log.stat().st_size > 0, "the first line")
    talking, sleeping = pid(supervisord, "talk"), pid(supervisord, "sleep")

    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:  # until the disk is full
            file.write(bytes(1 << 20))
    wait_until(lambda: log.stat().st_size % PAGE_BYTES == 0, "the log to have filled its last page")
    os.kill(sleeping, signal.SIGKILL)
    wait_until(lambda: pid(supervisord, "sleep") not in {0, sleeping}, "the killed process to be started again")
    filler.unlink()
    wait_until(lambda: "bytes of this log could not be written" in log.read_text(), "the log to go on")

    assert supervisord.is_alive()
    assert pid(supervisord, "talk") == talking
