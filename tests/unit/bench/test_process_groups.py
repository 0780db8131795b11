"""Processes by what they are for."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import pytest

from tests.support.programs import run_program
from tests.tools.bench.process_groups import add_groups, list_tree, measure_still_cpu
from tests.tools.bench.usage import Usage, own_cpu_ms, own_resident_bytes, private_bytes

WAITS = "print(flush=True); input()"
WORKS = "print(flush=True)\nwhile True: pass"


class Programs:
    """A system of two processes: one that waits, and one that works."""

    name, host, port, status_path, supports_long_poll = "programs", "127.0.0.1", 0, "/", False
    form: Mapping[str, str] = MappingProxyType({})

    def __init__(self, waiting: int, working: int) -> None:
        self._pids = {"gateway": waiting, "worker": working}

    def pids(self) -> dict[str, int]:
        return self._pids

    def usage(self) -> Usage:
        return Usage({}, {})


def test_the_sum_of_all_leaves_the_supervisor_out() -> None:
    found = add_groups(
        {"redis": 1.0, "mongo": 2.0, "gateway": 4.0, "validate": 8.0, "resize": 16.0, "supervisord": 32.0}
    )

    assert found == {"stores": 3, "gateway": 4, "workers": 24, "supervisord": 32, "all": 31}


def test_a_peers_processes_are_in_the_same_groups() -> None:
    assert add_groups({"redis": 1.0, "server": 2.0, "worker": 4.0}) == {
        "stores": 1,
        "gateway": 2,
        "workers": 4,
        "all": 7,
    }


def test_a_process_that_waits_uses_hardly_any_and_one_that_works_does() -> None:
    with run(WAITS) as waiting, run(WORKS) as working:
        percent = measure_still_cpu([Programs(waiting, working)], 0.5)["programs"]

    assert percent["gateway"] < 5  # a tick of the kernel's clock is 2
    assert percent["worker"] > 5


def test_a_process_that_is_gone_has_used_nothing() -> None:
    assert list_tree(os.getpid())[0] == os.getpid()
    assert own_cpu_ms(os.getpid()) > 0
    assert own_resident_bytes(os.getpid()) > 0
    assert (own_cpu_ms(2**30), own_resident_bytes(2**30), private_bytes(2**30)) == (0, 0, 0)


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="the kernel does not tell")
def test_what_a_process_shares_is_not_its_own() -> None:
    assert 0 < private_bytes(os.getpid()) < own_resident_bytes(os.getpid())


@contextmanager
def run(code: str) -> Iterator[int]:
    """Run a program that prints a line once it has begun, and end it."""
    command = (sys.executable, "-I", "-c", code)
    with run_program(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        assert program.stdout is not None
        program.stdout.readline()
        yield program.pid
