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

    def usage(self) -> Usage:
        """Read its counters."""


class Darkroom:
    """A running stack."""

    name, host, status_path, supports_long_poll = "darkroom", "127.0.0.1", "/task-status/", True

    def __init__(self, stack: Stack, *, form: Mapping[str, str] | None = None) -> None:
        self.stack = stack
        self.form = form or {}
        self.port = stack.gateway_port
        self._redis: Any = Redis.from_url(stack.redis_url)
        self._mongo: Any = pymongo.MongoClient(stack.mongo_url)

    def pids(self) -> dict[str, int]:
        """Return the processes that run, by their names."""
        return {name: pid for name in self.stack.processes if (pid := self._pid(name))}

    def usage(self) -> Usage:
        """Read what its processes, its Redis and its Mongo have done."""
        by_name = usage.count_commands(self._redis)
        operations = usage.count_operations(self._mongo)
        return Usage(*usage.of_processes(self.pids()), sum(by_name.values()), operations, by_name)

    def close(self) -> None:
        """Hang up."""
        self._redis.close()
        self._mongo.close()

    def _pid(self, name: str) -> int:
        try:
            return self.stack.pid(name)
        except ProcessLookupError:
            return 0


@contextmanager
def run_darkroom(
    folder: Path,
    *,
    pools: Mapping[str, int] | None = None,
    presets: Path | None = None,
    preset: str = "",
    **options: Any,
) -> Iterator[Darkroom]:
    """Run Darkroom with nothing switched off: journal, fsync, append-only file, metrics. Uploads name the preset."""
    environment = UNLIMITED | ({"DARKROOM_PRESETS": str(presets)} if presets else {})
    with (
        Stack(folder, pools=pools or POOLS, environment=environment, **options) as stack,
        closing(Darkroom(stack, form={"preset": preset} if preset else None)) as running,
    ):
        yield running
