"""The embedded stack with a second gateway, spare workers and some with a wrong clock, and what belongs to it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from deploy.local import processes, readiness
from deploy.local.ports import free_port
from deploy.local.stack import Stack
from pipeline.routing import INNER_QUEUES, OUTBOUND_QUEUES
from tests.support.skewed_program import skew_command

SECOND_GATEWAY = "gateway2"
OUTBOUND = processes.OUTBOUND_WORKER
OUTBOUND_PROCESSES = 3  # one for each endpoint that is slow or does not answer, one for the others and the imports
POOLS = (*INNER_QUEUES, OUTBOUND)
"""The queues that have a worker of their own, and the worker of those that go out."""
SKEWS = {"ahead": 120, "behind": -120}
"""Seconds by which the clock of a worker `ahead-POOL` or `behind-POOL` differs: more than a lease has."""


class ChaosStack(Stack):
    """A running Darkroom with two gateways, two children for the resizes, and a spare worker a pool.

    The spare workers run from the start with `pools=2`, else only when they are needed. The second gateway's clock and
    those of the spare workers are ahead by `skew_seconds`.
    """

    def __init__(self, folder: Path, *, environment: Mapping[str, str], pools: int = 1, skew_seconds: int = 0) -> None:
        self._second_port = free_port()
        self._has_second_pools, self._skew_seconds = pools > 1, skew_seconds
        super().__init__(folder, pools={"resize": 2}, outbound_pool=OUTBOUND_PROCESSES, environment=environment)
        self.urls = {"gateway": self.url, SECOND_GATEWAY: f"http://127.0.0.1:{self._second_port}"}

    def _processes(self, *, gateway: bool, workers: bool) -> list[processes.Process]:
        second = replace(processes.gateway(port=self._second_port, autostart=gateway), name=SECOND_GATEWAY)
        spares = [_worker(f"spare-{pool}", pool, autostart=workers and self._has_second_pools) for pool in POOLS]
        skewed = [_skew(_worker(f"{side}-{pool}", pool), seconds) for side, seconds in SKEWS.items() for pool in POOLS]
        seconds = self._skew_seconds
        second_of_each = [_skew(process, seconds) if seconds else process for process in (second, *spares)]
        return [*super()._processes(gateway=gateway, workers=workers), *second_of_each, *skewed]

    def _probe(self, name: str) -> Callable[[], bool]:
        if name == SECOND_GATEWAY:
            return lambda: readiness.is_gateway_ready(self.urls[SECOND_GATEWAY])
        return super()._probe(name)

    @property
    def autostart_processes(self) -> list[str]:
        """The processes that are to run whenever no fault is on."""
        return [name for name, process in self.processes.items() if process.autostart]

    @property
    def darkroom_processes(self) -> list[str]:
        """The gateways and workers among them."""
        return [name for name in self.autostart_processes if self.processes[name].group == "darkroom"]

    @property
    def workers(self) -> dict[str, str]:
        """The pool of each worker that is to run whenever no fault is on."""
        return {name: pool_of_worker(name) for name in self.autostart_processes if pool_of_worker(name) in POOLS}

    def darkroom_pids(self) -> list[int]:
        """Return the ids of the gateways and workers that run, each parent before its children."""
        return [pid for name in self.darkroom_processes for pid in (self.pid(name), *self.children(name))]

    def wait_all_ready(self, seconds: float) -> None:
        """Return once every process does its work; StackError if one takes too long."""
        for name in self.autostart_processes:
            self.wait_ready(name, seconds)

    @contextmanager
    def run_spare_worker(self, pool: str) -> Iterator[None]:
        """Run a second worker of a pool, as there is where workers run on several machines."""
        with self.run_worker(f"spare-{pool}"):
            yield

    @contextmanager
    def run_worker(self, name: str) -> Iterator[None]:
        """Run a worker that is down, until the block ends. One that runs anyway goes on."""
        if name in self.workers:
            yield
            return
        self.start_process(name)
        try:
            yield
        finally:
            self.stop_process(name)

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


def pool_of_worker(name: str) -> str:
    """Return the pool of a worker, by the name of its process."""
    return name.rpartition("-")[2]


def _worker(name: str, pool: str, *, autostart: bool = False) -> processes.Process:
    queues = OUTBOUND_QUEUES if pool == OUTBOUND else [pool]
    return processes.worker(name, queues=queues, concurrency=1, autostart=autostart, metrics_port=free_port())


def _skew(process: processes.Process, seconds: int) -> processes.Process:
    return replace(process, command=skew_command(process.command, seconds=seconds))


def _command(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:120]
    return ""
