"""The embedded stack: Redis, Mongo, the gateway and a worker per queue, on this machine, from Python packages alone.

    with Stack(folder) as stack:
        httpx.post(f"{stack.url}/upload", ...)

Its processes are redis, mongo, gateway, validate, normalize, resize, transform, finalize and, on request,
outbound, flower and frontend. If the environment has DARKROOM_REDIS_URL or DARKROOM_MONGO_URL, the stack uses that
server and starts none in its place. On such a MongoDB server, the stack has a database of its own, which it drops at
the end. A server named by an argument is used unchanged.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Self

from deploy.local import home, metrics_addresses, processes, readiness, scratch_database
from deploy.local.folders import describe_failure
from deploy.local.ports import free_port, is_free
from deploy.local.process_startup import READY_SECONDS, PendingProcess, StackObserver, wait_for_all
from deploy.local.readiness import find_child_pids
from deploy.local.shared_modules import find_shared
from deploy.local.supervisord_control import PortInUse, StackError, Supervisord
from pipeline.routing import INNER_QUEUES, OUTBOUND_QUEUES

SOFT_SHUTDOWN_SECONDS = (
    "4"  # seconds that a stopping worker waits for its running tasks before it returns them to the queue
)

FRONTEND_ADDRESSES = '["127.0.0.1"]'


class Stack:
    """A running Darkroom in one data folder; a context manager. A port of 0 means any free port."""

    def __init__(  # noqa: PLR0913  # each has a default worth changing on its own
        self,
        folder: Path | str,
        *,
        gateway_port: int = 0,
        redis_port: int = 0,
        mongo_port: int = 0,
        pools: Mapping[str, int] | None = None,
        shared_pool: int = 0,
        shares_outbound: bool = False,
        outbound_pool: int = 0,
        environment: Mapping[str, str] | None = None,
        redis_url: str | None = None,
        mongo_url: str | None = None,
        gateway: bool = True,
        workers: bool = True,
        flower: bool = False,
        flower_port: int = 0,
        frontend: bool = False,
        frontend_port: int = 0,
    ) -> None:
        """Start nothing yet. Processes that `gateway` or `workers` exclude from the start can be started by name.

        Each queue of a stage has a worker of its own. With `shared_pool`, one `worker` serves all queues that are not
        in `pools`. With `outbound_pool`, one worker serves the queues of fetches, exports and webhooks; with
        `shares_outbound`, the shared one does.
        """
        self.folder = Path(folder).resolve()
        self.blob_folder = self.folder / "blobs"
        each = {processes.SHARED_WORKER: shared_pool} if shared_pool else dict.fromkeys(INNER_QUEUES, 1)
        self._shared_queues = (*OUTBOUND_QUEUES, *INNER_QUEUES) if shares_outbound else INNER_QUEUES
        self.pools = each | dict(pools or {}) | ({processes.OUTBOUND_WORKER: outbound_pool} if outbound_pool else {})
        self.environment = dict(environment or {})
        self.redis_port, self.mongo_port = redis_port or free_port(), mongo_port or free_port()
        self.gateway_port = gateway_port or free_port()
        self.flower_port = (flower_port or free_port()) if flower else 0
        self.frontend_port = (frontend_port or free_port()) if frontend else 0
        self._metrics_ports = {name: free_port() for name in self.pools}
        self._external_redis_url = redis_url or os.environ.get("DARKROOM_REDIS_URL")
        self._external_mongo_url = mongo_url or os.environ.get("DARKROOM_MONGO_URL")
        self._has_scratch_database = bool(self._external_mongo_url and not mongo_url)
        self.redis_url = self._external_redis_url or f"redis://127.0.0.1:{self.redis_port}/0"
        self.mongo_url = self._external_mongo_url or f"mongodb://127.0.0.1:{self.mongo_port}/darkroom"
        if self._has_scratch_database:
            self.mongo_url = scratch_database.name_scratch_database(self.mongo_url)
        self.url = f"http://127.0.0.1:{self.gateway_port}"
        self.flower_url = f"http://127.0.0.1:{self.flower_port}"
        self.frontend_url = f"http://127.0.0.1:{self.frontend_port}"
        self.observer = StackObserver()
        self.skipped_processes: dict[str, StackError] = {}  # optional processes that could not start, and why
        self.processes = {each.name: each for each in self._processes(gateway=gateway, workers=workers)}
        self._supervisord = Supervisord(self.folder)
        self._log_offsets: dict[str, int] = {}

    def _processes(self, *, gateway: bool, workers: bool) -> list[processes.Process]:
        servers = []
        if not self._external_redis_url:
            servers.append(processes.redis(self.folder / "redis", port=self.redis_port))
        if not self._external_mongo_url:
            servers.append(processes.mongo(self.folder / "mongo", port=self.mongo_port))
        return [
            *servers,
            processes.gateway(port=self.gateway_port, autostart=gateway),
            *(
                processes.worker(
                    name,
                    queues=self._queues(name),
                    concurrency=size,
                    autostart=workers,
                    metrics_port=self._metrics_ports[name],
                )
                for name, size in self.pools.items()
            ),
            *([processes.flower(port=self.flower_port)] if self.flower_port else []),
            *([self._frontend()] if self.frontend_port else []),
        ]

    def _queues(self, worker: str) -> list[str]:
        if worker == processes.OUTBOUND_WORKER:
            return list(OUTBOUND_QUEUES)
        others = [queue for queue in self._shared_queues if queue not in self.pools]
        return others if worker == processes.SHARED_WORKER else [worker]

    def _frontend(self) -> processes.Process:
        flower_url = self.flower_url if self.flower_port and "flower" not in self.skipped_processes else None
        return processes.frontend(port=self.frontend_port, gateway_url=self.url, flower_url=flower_url)

    @property
    def metrics_urls(self) -> dict[str, str]:
        """The metrics URLs of the gateway and of each worker, by process name."""
        ports = {"gateway": self.gateway_port, **self._metrics_ports}
        return {name: f"http://127.0.0.1:{port}/metrics" for name, port in ports.items()}

    def __enter__(self) -> Self:
        """Start everything, and return when it is ready."""
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop everything, and return when no process is left."""
        try:
            self.stop()
        finally:
            self.stop()  # stops the rest if an interrupt ended the first call

    def start(self) -> None:
        """Start all processes at once, and return when they are ready. Optional processes that fail are skipped.

        StackError if another process fails; its first line says why.
        """
        self._supervisord.prepare()
        try:
            self._check_ports_and_folders()
            metrics_addresses.write_metrics_urls(self.folder, self.metrics_urls)
            home.write_stores(self.folder, mongo_url=self.mongo_url, blob_url=self._environment()["DARKROOM_BLOB_URL"])
            configuration = processes.render_configuration(
                self.processes.values(), socket_settings=self._supervisord.socket_settings
            )
            modules = [module for each in self.processes.values() if each.autostart for module in each.modules]
            self._supervisord.start(configuration, self._environment(), preload=find_shared(modules))
        except OSError as error:
            raise StackError(describe_failure(error, self.folder)) from error
        names = [name for name, process in self.processes.items() if process.autostart]
        self.skipped_processes |= wait_for_all(
            [self._describe_pending(name, is_start=True) for name in names], self.observer
        )
        for name in self.skipped_processes:
            self.stop_process(name)  # or supervisord would restart it again and again

    def _check_ports_and_folders(self) -> None:
        for name, port in self._ports().items():
            if is_free(port):
                continue
            error = PortInUse(port, name)
            if not self.processes[name].is_optional:
                raise error
            self.skipped_processes[name] = error
            self.processes[name] = replace(self.processes[name], autostart=False)
            if "frontend" in self.processes:
                self.processes["frontend"] = self._frontend()
        for folder in ("redis", "mongo", "blobs"):
            (self.folder / folder).mkdir(exist_ok=True)
        for name in self.processes:
            self._record_log_offset(name)

    def _ports(self) -> dict[str, int]:
        """Return the port of each process of this stack that listens on one."""
        ports = {"redis": self.redis_port, "mongo": self.mongo_port, "gateway": self.gateway_port}
        ports |= {"flower": self.flower_port, "frontend": self.frontend_port, **self._metrics_ports}
        return {name: port for name, port in ports.items() if name in self.processes}

    def _environment(self) -> dict[str, str]:
        return {
            "DARKROOM_REDIS_URL": self.redis_url,
            "DARKROOM_MONGO_URL": self.mongo_url,
            "DARKROOM_BLOB_URL": self.blob_folder.as_uri(),
            "DARKROOM_WORK__SOFT_SHUTDOWN_TIMEOUT": os.environ.get(
                "DARKROOM_WORK__SOFT_SHUTDOWN_TIMEOUT", SOFT_SHUTDOWN_SECONDS
            ),
            "DARKROOM_HTTP__TRUSTED_PROXIES": os.environ.get("DARKROOM_HTTP__TRUSTED_PROXIES", FRONTEND_ADDRESSES),
            "DARKROOM_FLOWER_FOLDER": str(self.folder / "flower"),
            "PYTHONUNBUFFERED": "1",
            **self.environment,
        }

    def stop(self) -> None:
        """Stop everything, workers before servers. Unfinished work returns to the queues. Safe to repeat."""
        try:
            self.observer.on_stopping()
        finally:
            self._supervisord.stop()
        if self._has_scratch_database:
            scratch_database.drop_database(self.mongo_url)
            self._has_scratch_database = False

    def is_alive(self) -> bool:
        """Whether supervisord runs."""
        return self._supervisord.is_alive()

    def start_process(self, name: str, *, wait: bool = True) -> None:
        """Start a process; by default, wait until it is ready."""
        self._record_log_offset(name)
        self._supervisord.start_process(self._full_name(name))
        if wait:
            self.wait_ready(name)

    def stop_process(self, name: str) -> None:
        """Stop a process gracefully, and return when it has exited. It is not restarted."""
        self._supervisord.stop_process(self._full_name(name))

    def restart_process(self, name: str, *, wait: bool = True) -> None:
        """Stop a process and start it again."""
        self.stop_process(name)
        self.start_process(name, wait=wait)

    def pid(self, name: str) -> int:
        """Return the process id. ProcessLookupError if the process does not run."""
        if pid := self._pid(name):
            return pid
        raise ProcessLookupError(f"{name} is not running")

    def _pid(self, name: str) -> int:
        info = self._supervisord.call("getProcessInfo", self._full_name(name))
        return int(info["pid"])

    def children(self, name: str) -> list[int]:
        """Return the ids of a process's children, such as a worker's pool, oldest first."""
        return find_child_pids(self.pid(name))

    def signal(self, name: str, number: int) -> None:
        """Send a signal to one process, not to its children. A process that exits is restarted: see wait_ready."""
        pid = self.pid(name)
        if number not in {signal.SIGSTOP, signal.SIGCONT}:
            self._record_log_offset(name)
        os.kill(pid, number)

    def log(self, name: str) -> str:
        """Return the log of a process, or of "supervisord"."""
        file = self.log_file(name)
        return file.read_text(errors="replace") if file.exists() else ""

    def log_file(self, name: str) -> Path:
        """Return the path of a process's log."""
        return self._supervisord.logs / f"{name}.log"

    def read_log_since_start(self, name: str) -> str:
        """Return what a process has logged since its last start."""
        return readiness.read_log_after(self.log_file(name), self._log_offsets.get(name, 0))

    def wait_ready(self, name: str, seconds: float = READY_SECONDS) -> None:
        """Wait until a process is ready: a server answers, a worker consumes. StackError if it takes too long."""
        wait_for_all([self._describe_pending(name, is_start=False)], seconds=seconds)

    def _describe_pending(self, name: str, *, is_start: bool) -> PendingProcess:
        """Describe a wait. At a stack's start, a port in use ends it at once, and an optional process may fail."""
        return PendingProcess(
            name=name,
            folder=self.folder,
            port=self._ports().get(name, 0) if is_start else 0,
            is_optional=is_start and self.processes[name].is_optional,
            is_ready=self._probe(name),
            is_supervised=self.is_alive,
            find_pid=lambda: self._pid(name),
            read_log=lambda: self.read_log_since_start(name),
        )

    def _probe(self, name: str) -> Callable[[], bool]:
        self._full_name(name)
        match name:
            case "redis":
                return lambda: readiness.is_redis_ready(self.redis_url)
            case "mongo":
                return lambda: readiness.is_mongo_ready(self.mongo_url)
            case "gateway":
                return lambda: readiness.is_gateway_ready(self.url)
            case "flower":
                return lambda: readiness.is_flower_ready(self.flower_url)
            case "frontend":
                return lambda: readiness.is_frontend_ready(self.frontend_url)
            case _:
                return lambda: " ready." in self.read_log_since_start(name)

    def _record_log_offset(self, name: str) -> None:
        """Record the offset in the log where the output of this start begins."""
        self._log_offsets[name] = 0
        with contextlib.suppress(FileNotFoundError):
            self._log_offsets[name] = self.log_file(name).stat().st_size

    def _full_name(self, name: str) -> str:
        if name not in self.processes:
            raise StackError(f"this stack runs no {name}; it runs {', '.join(self.processes)}")
        return f"{self.processes[name].group}:{name}"
