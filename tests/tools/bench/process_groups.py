"""The processes of a system by what they are for, their memory, and their CPU while there is no work."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.local.readiness import find_child_pids
from tests.tools.bench import usage
from tests.tools.bench.sample import MIB
from tests.tools.bench.systems import System

STORES = ("redis", "mongo", "rabbitmq", "seaweedfs")
GATEWAYS = ("gateway", "server")
SUPERVISOR = "supervisord"
ALL = "all"


@dataclass(frozen=True, slots=True)
class Memory:
    """The memory of a process and its children, in MiB: resident, and with shared pages divided among their sharers."""

    processes: int
    rss: float
    pss: float


def group_of(name: str) -> str:
    """Return what a process is for: stores, gateway or workers. The supervisor is none of them."""
    if name == SUPERVISOR:
        return SUPERVISOR
    return "stores" if name in STORES else "gateway" if name in GATEWAYS else "workers"


def add_groups(by_process: Mapping[str, float]) -> dict[str, float]:
    """Return the sums of the groups, and of all processes but the supervisor."""
    sums: dict[str, float] = {}
    for name, value in by_process.items():
        sums[group_of(name)] = sums.get(group_of(name), 0.0) + value
    return sums | {ALL: sum(value for name, value in sums.items() if name != SUPERVISOR)}


def find_supervisor(pids: Mapping[str, int]) -> dict[str, int]:
    """Return the process that started the others, by its name; nothing where that is the benchmark itself."""
    parents = {_parent(pid) for pid in pids.values()}
    supervisors = [pid for pid in parents if _is_supervisor(pid)]
    return {SUPERVISOR: supervisors[0]} if supervisors else {}


def read_memory(system: System) -> dict[str, Memory]:
    """Return the memory of each process with its children; of the supervisor without, because they are the others."""
    pids = system.pids()
    found = {name: _memory(list_tree(pid)) for name, pid in pids.items()}
    return found | {name: _memory([pid]) for name, pid in find_supervisor(pids).items()}


def measure_still_cpu(systems: Sequence[System], seconds: float) -> dict[str, dict[str, float]]:
    """Return the percents of a core that each process of each system uses while nothing is to be done."""
    pids = {system.name: system.pids() for system in systems}
    supervisors = {name: find_supervisor(found) for name, found in pids.items()}
    before = {name: _cpu_ms(found, supervisors[name]) for name, found in pids.items()}
    start = time.perf_counter()
    time.sleep(seconds)
    percent = 0.1 / (time.perf_counter() - start)  # of a core, for each millisecond
    after = {name: _cpu_ms(found, supervisors[name]) for name, found in pids.items()}
    return {
        name: {process: (ms - before[name][process]) * percent for process, ms in found.items()}
        for name, found in after.items()
    }


def list_tree(pid: int) -> list[int]:
    """Return a process and all that come from it."""
    return [pid, *(each for child in find_child_pids(pid) for each in list_tree(child))]


def _cpu_ms(pids: Mapping[str, int], supervisor: Mapping[str, int]) -> dict[str, float]:
    found = {name: usage.cpu_ms(pid) for name, pid in pids.items()}
    return found | {name: usage.own_cpu_ms(pid) for name, pid in supervisor.items()}


def _memory(pids: Sequence[int]) -> Memory:
    rss = sum(map(usage.own_resident_bytes, pids))
    return Memory(len(pids), round(rss / MIB, 1), round(sum(map(usage.proportional_bytes, pids)) / MIB, 1))


def _parent(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(") ")[2].split()
    return int(fields[1])


def _is_supervisor(pid: int) -> bool:
    command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return any(b"supervisord" in word for word in command[:4])
