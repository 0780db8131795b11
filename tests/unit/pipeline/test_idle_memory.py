"""A child that is idle returns its free memory; one that works keeps it for the next image."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from deploy.local.processes import MALLOC

PROGRAM = """
import mmap, pathlib, signal, time
from pipeline import idle_memory
from pipeline.memory_limit import refuse_beyond_limit

def resident_mib():
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE >> 20

idle_memory.IDLE_SECONDS = 0.01
idle_memory.return_memory_when_idle()
before = resident_mib()
with refuse_beyond_limit():
    blocks = [b"1" * (1 << 20) for _ in range(60)]
    del blocks
    signal.raise_signal(signal.SIGALRM)
    print(resident_mib() - before)
deadline = time.monotonic() + 10
while resident_mib() - before > 30 and time.monotonic() < deadline:
    time.sleep(0.01)
print(resident_mib() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="malloc_trim is glibc's")
def test_memory_that_images_left_free_is_returned_when_the_child_is_idle() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=os.environ | MALLOC, capture_output=True, text=True, check=True
    )

    at_work, idle = map(int, done.stdout.split())
    assert at_work >= 50
    assert idle < 30
