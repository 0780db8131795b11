"""What is driven: Darkroom's own stack, whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

import pymongo
from redis import Redis

from deploy.local.stack import Stack
from tests.tools.bench import usage
from tests.tools.bench.usage import Usage

POOLS = {"normalize": 3, "resize": 2}  # on two cores: what decodes also waits, for the disk
UNLIMITED = {"DARKROOM_ACCESS__MAX_QUEUE": "1000000"}


class System(Protocol):
    """Something that takes photos under /upload and tells of its jobs under a path of its own."""

    name: str
    host: str
    port: int
    status_path: str
    supports_long_poll: bool
    form: Mapping[str, str]
    """Fields that each upload has besides the photo."""

    def pids(self) -> dict[str, int]:
        """Return the processes that run, by their names."""

    def usage(self) -> Usage:
        """Read its counters."""


class RunningStack(Protocol):
    """A stack of this checkout or of another one."""

    gateway_port: int
    redis_url: str
    mongo_url: str
    pools: dict[str, int]

    def pids(self) -> dict[str, int]:
        """Return the processes that run, by their names."""

    def children(self, name: str) -> list[int]:
        """Return the ids of a process's children."""


class DarkroomSystem:
    """A running Darkroom."""

    host, status_path, supports_long_poll = "127.0.0.1", "/task-status/", True

    def __init__(
        self,
        stack: RunningStack,
        *,
        name: str,
        form: Mapping[str, str] | None = None,
        services: Mapping[str, int] | None = None,
    ) -> None:
        """`services` are the ids of servers that only this stack uses: their costs are its costs."""
        self.name = name
        self.services = dict(services or {})
        self.form = form or {}
        self.port = stack.gateway_port
        self.running = stack
        self._redis: Any = Redis.from_url(stack.redis_url)
        self._mongo: Any = pymongo.MongoClient(stack.mongo_url)

    def pids(self) -> dict[str, int]:
        """Return the processes that run, by their names."""
        return self.running.pids() | self.services

    def usage(self) -> Usage:
        """Read what its processes, its Redis and its Mongo have done."""
        by_name = usage.count_commands(self._redis)
        operations = usage.count_operations(self._mongo)
        return Usage(*usage.of_processes(self.pids()), sum(by_name.values()), operations, by_name)

    def close(self) -> None:
        """Hang up."""
        self._redis.close()
        self._mongo.close()


class OwnStack(Stack):
    """A stack of this checkout."""

    def pids(self) -> dict[str, int]:
        """Return the processes that run, by their names."""
        return {name: pid for name in self.processes if (pid := self._pid(name))}


class Darkroom(DarkroomSystem):
    """A running stack of this checkout, whose processes can be started and stopped."""

    def __init__(self, stack: OwnStack, **options: Any) -> None:
        super().__init__(stack, name="darkroom", **options)
        self.stack = stack


@contextmanager
def run_darkroom(
    folder: Path,
    *,
    pools: Mapping[str, int] | None = None,
    presets: Path | None = None,
    preset: str = "",
    environment: Mapping[str, str] | None = None,
    services: Mapping[str, int] | None = None,
    **options: Any,
) -> Iterator[Darkroom]:
    """Run Darkroom with nothing switched off: journal, fsync, append-only file, metrics. Uploads name the preset."""
    environment = UNLIMITED | dict(environment or {}) | ({"DARKROOM_PRESETS": str(presets)} if presets else {})
    with (
        OwnStack(folder, pools=pools or POOLS, environment=environment, **options) as stack,
        closing(Darkroom(stack, form={"preset": preset} if preset else None, services=services)) as running,
    ):
        yield running
