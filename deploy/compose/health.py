"""Health check of this container's process: exit status 0 or 1. Imports only a little of the standard library.

`DARKROOM_HEALTH` is the address, as `port/path`: a gateway's `8001/readyz`, a worker's `9100/metrics`, Flower's
`5555/healthcheck`. A worker must also have children, and its main thread, which fetches messages, must have run since
the last check: the exporter is another thread and still answers if the main thread hangs.
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

OK = 200
TIMEOUT = 4.0  # seconds; docker-compose.yml waits for 5
POOL = b"\ndarkroom_worker_pool_processes{"
WORKER_COMMANDS = (b"-m\0pipeline\0", b"celery")  # the second in a compose.yml of an earlier version
PROCESSES = Path("/proc")
LAST_CHECK_FILE = Path("/tmp/darkroom-health")  # noqa: S108  # only this container sees it; it is not secret


def main() -> int:
    """Check the process. Print what is wrong to stdout: `docker inspect` shows it."""
    where = os.environ.get("DARKROOM_HEALTH", "8001/readyz")
    port, _, path = where.partition("/")
    try:
        status, body = fetch(int(port), f"/{path}")
    except (OSError, ValueError) as error:
        return _unhealthy(f"{where}: {error!r}")
    if status != OK:
        return _unhealthy(f"{where}: status {status}")
    if path == "metrics":
        if count_children(body) == 0:
            return _unhealthy("the pool has no children")
        if not has_run_since(LAST_CHECK_FILE, PROCESSES):
            return _unhealthy("the main thread hangs")
    return 0


def fetch(port: int, path: str) -> tuple[int, bytes]:
    """Return the status and the whole answer of this container's server; status 0 if it is not HTTP."""
    with socket.create_connection(("127.0.0.1", port), TIMEOUT) as connection:
        connection.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/") else 0, answer


def count_children(metrics: bytes) -> int:
    """Return how many children a worker reports; 0 until its pool has started."""
    lines = metrics.split(POOL)[1:]
    return max((int(float(line.split(b"\n")[0].rsplit(b" ", 1)[1])) for line in lines), default=0)


def has_run_since(record: Path, processes: Path) -> bool:
    """Whether the worker's main thread has run since the check recorded in this file. Record this check there."""
    now = _read_context_switches(processes)
    before = record.read_text(encoding="ascii") if record.exists() else ""
    record.write_text(now, encoding="ascii")
    return now != before


def _read_context_switches(processes: Path) -> str:
    """Return the worker's pid and its main thread's context switches: even if idle, one every second or two."""
    for pid in sorted(int(entry.name) for entry in processes.iterdir() if entry.name.isdecimal()):
        try:
            status = (processes / str(pid) / "status").read_text(encoding="ascii", errors="replace")
            command = (processes / str(pid) / "cmdline").read_bytes()
        except OSError:  # the process has ended
            continue
        is_worker = any(words in command for words in WORKER_COMMANDS)
        if is_worker and status.startswith("Name:\tpython"):  # not init, nor a shell that started it
            counts = [line.split()[1] for line in status.splitlines() if "ctxt_switches" in line]
            return " ".join([str(pid), *counts])
    return ""


def _unhealthy(reason: str) -> int:
    print(reason)
    return 1


if __name__ == "__main__":
    sys.exit(main())
