"""The embedded stack with a second gateway and spare workers, and which processes belong to it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from deploy.local import processes, readiness
from deploy.local.ports import free_port
from deploy.local.stack import Stack
from pipeline.routing import QUEUES

SECOND_GATEWAY = "gateway2"
POOLS = QUEUES


class ChaosStack(Stack):
    """A running Darkroom with two gateways, two children for the resizes, and a spare worker a queue that is down."""

    def __init__(self, folder: Path, *, environment: Mapping[str, str]) -> None:
        self._second_port = free_port()
        super().__init__(folder, pools={"resize": 2}, environment=environment)
        self.urls = {"gateway": self.url, SECOND_GATEWAY: f"http://127.0.0.1:{self._second_port}"}

    def _processes(self, *, gateway: bool, workers: bool) -> list[processes.Process]:
        second = replace(processes.gateway(port=self._second_port, autostart=gateway), name=SECOND_GATEWAY)
        spares = [_spare(queue) for queue in POOLS]
        return [*super()._processes(gateway=gateway, workers=workers), second, *spares]

    def _probe(self, name: str) -> Callable[[], bool]:
        if name == SECOND_GATEWAY:
            return lambda: readiness.is_gateway_ready(self.urls[SECOND_GATEWAY])
        return super()._probe(name)

    @property
    def autostart_processes(self) -> list[str]:
        """The processes that are to run whenever no fault is on."""
        return [name for name, process in self.processes.items() if process.autostart]

    def wait_all_ready(self, seconds: float) -> None:
        """Return once every process does its work; StackError if one takes too long."""
        for name in self.autostart_processes:
            self.wait_ready(name, seconds)

    @contextmanager
    def run_spare_worker(self, pool: str) -> Iterator[None]:
        """Run a second worker of a pool, as there is where workers run on several machines."""
        self.start_process(f"spare-{pool}")
        try:
            yield
        finally:
            self.stop_process(f"spare-{pool}")

    def send(self, pids: Iterable[int], number: int) -> None:
        """Signal processes by id: those that live and are this stack's."""
        for pid in pids:
            if self.owns_process(pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, number)

    def owns_process(self, pid: int) -> bool:
        """Whether a living process was started by this stack, also when its parent is gone."""
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            return False
        return f"DARKROOM_BLOB_URL={self.blob_folder.as_uri()}".encode() in environment.split(b"\0")

    def list_remaining_processes(self) -> list[str]:
        """Return what still runs of it."""
        pids = (int(folder.name) for folder in Path("/proc").glob("[0-9]*"))
        return [f"{pid} {_command(pid)}" for pid in pids if self.owns_process(pid)]


def _spare(queue: str) -> processes.Process:
    name = f"spare-{queue}"
    return processes.worker(name, queues=[queue], concurrency=1, autostart=False, metrics_port=free_port())


def _command(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:120]
    return ""
