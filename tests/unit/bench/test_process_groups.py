"""Processes by what they are for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import MappingProxyType

from tests.tools.bench.process_groups import add_groups, list_tree, measure_still_cpu
from tests.tools.bench.usage import Usage, own_cpu_ms, own_resident_bytes


class Sleeper:
    """A system of one process: this one."""

    name, host, port, status_path, supports_long_poll = "sleeper", "127.0.0.1", 0, "/", False
    form: Mapping[str, str] = MappingProxyType({})

    def pids(self) -> dict[str, int]:
        return {"gateway": os.getpid()}

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


def test_a_process_that_sleeps_uses_nearly_nothing() -> None:
    percent = measure_still_cpu([Sleeper()], 0.2)["sleeper"]["gateway"]

    assert 0 <= percent <= 100


def test_a_process_that_is_gone_has_used_nothing() -> None:
    assert list_tree(os.getpid())[0] == os.getpid()
    assert own_cpu_ms(os.getpid()) > 0
    assert own_resident_bytes(os.getpid()) > 0
    assert (own_cpu_ms(2**30), own_resident_bytes(2**30)) == (0, 0)
