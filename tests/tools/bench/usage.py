"""What a system has used: processor time and memory of its processes, commands of Redis, operations of Mongo."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.local.readiness import find_child_pids

TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Usage:
    """Counters at one moment; two of them make a difference. Times in milliseconds, memory in bytes."""

    cpu_ms: Mapping[str, float]
    resident: Mapping[str, int]
    redis_commands: int = 0
    mongo_operations: int | None = None
    redis_by_name: Mapping[str, int] = field(default_factory=dict)

    def since(self, earlier: Usage) -> Usage:
        """Return what was used between the two; memory is that of now."""
        return Usage(
            cpu_ms={name: ms - earlier.cpu_ms.get(name, 0) for name, ms in self.cpu_ms.items()},
            resident=self.resident,
            redis_commands=self.redis_commands - earlier.redis_commands,
            mongo_operations=_difference(self.mongo_operations, earlier.mongo_operations),
            redis_by_name={
                name: count - earlier.redis_by_name.get(name, 0) for name, count in self.redis_by_name.items()
            },
        )


def _difference(later: int | None, earlier: int | None) -> int | None:
    return None if later is None or earlier is None else later - earlier


def of_processes(pids: Mapping[str, int]) -> tuple[dict[str, float], dict[str, int]]:
    """Return the processor time and the memory of each process with its children, the time also of those that ended."""
    return {name: cpu_ms(pid) for name, pid in pids.items()}, {name: resident_bytes(pid) for name, pid in pids.items()}


def cpu_ms(pid: int) -> float:
    """Return the milliseconds that a process, its children and those it has buried have run; 0 once it is gone."""
    with suppress(OSError, IndexError):
        own = sum(map(int, _stat(pid)[11:15])) * TICK_MS  # utime, stime, cutime, cstime: proc(5)
        return own + sum(cpu_ms(child) for child in find_child_pids(pid))
    return 0.0


def own_cpu_ms(pid: int) -> float:
    """Return the milliseconds that a process has run, without any other; 0 once it is gone."""
    with suppress(OSError, IndexError):
        return sum(map(int, _stat(pid)[11:13])) * TICK_MS
    return 0.0


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(") ")[2].split()


def resident_bytes(pid: int) -> int:
    """Return the bytes in memory of a process and its children, shared pages counted for each."""
    own = own_resident_bytes(pid)
    return own + sum(resident_bytes(child) for child in find_child_pids(pid)) if own else 0


def own_resident_bytes(pid: int) -> int:
    """Return the bytes in memory of one process, shared pages included; 0 once it is gone."""
    with suppress(OSError, IndexError):
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * PAGE_BYTES
    return 0


def proportional_bytes(pid: int) -> int:
    """Return the bytes of one process, a shared page divided among its sharers; 0 where the kernel does not tell."""
    return _add_up(pid, ("Pss:",))


def private_bytes(pid: int) -> int:
    """Return the bytes that one process shares with no other; 0 where the kernel does not tell."""
    return _add_up(pid, ("Private_Clean:", "Private_Dirty:"))


def _add_up(pid: int, names: tuple[str, ...]) -> int:
    with suppress(OSError, IndexError):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
        return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(names))
    return 0


def count_operations(mongo: Any) -> int | None:
    """Return how many operations a Mongo has done; None for one that does not tell, as the embedded one."""
    counters = mongo.admin.command("serverStatus").get("opcounters")
    return sum(count for count in counters.values() if isinstance(count, int)) if counters else None


def count_commands(redis: Any) -> dict[str, int]:
    """Return how often each command of a Redis was called."""
    return {name.removeprefix("cmdstat_"): stat["calls"] for name, stat in redis.info("commandstats").items()}
