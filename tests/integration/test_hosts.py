"""Workers on hosts of their own, which know three addresses and nothing else; and one of them cut off at work."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pymongo
import pytest
from pymongo.collection import Collection

from deploy.local import processes, readiness
from deploy.local.ports import free_port
from deploy.local.stack import Stack
from pipeline.routing import QUEUES
from tests.conftest import SHORT_TIMEOUTS
from tests.integration.api_helpers import get_status, submit_photo, wait_for_all, wait_until
from tests.integration.progress import finalizations
from tests.support.http_options import HTTP_CLIENT_OPTIONS
from tests.support.images import photo_file
from tests.support.network_hosts import Host, bind_to, create_network
from tests.support.programs import run_logged_program

JOBS = 6
large_photo = partial(photo_file, 3000, 2000)
STAGES = ("validate", "normalize", "small", "medium", "large", "finalize")
TRIES = 20  # at catching a host in the middle of a stage


@dataclass(frozen=True)
class Region:
    """A gateway with its stores here, and two hosts that work for it."""

    http: httpx.Client
    jobs: Collection[dict[str, Any]]
    mongo_url: str
    one: Host
    two: Host

    def workers_of(self, *task_ids: str) -> set[str]:
        """Return the hosts that did the stages of these jobs."""
        stages = [stage for task_id in task_ids for stage in get_status(self.http, task_id)["stages"].values()]
        return {stage["worker"].rpartition("@")[2] for stage in stages if stage["worker"]}

    def runs_on(self, host: Host) -> bool:
        """Whether the host has a stage that it has not told the end of."""
        held = {"state": "running", "worker": f"all@{host.name}"}
        stages = [{f"stages.{stage}.{key}": value for key, value in held.items()} for stage in STAGES]
        return self.jobs.find_one({"$or": stages}) is not None


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    folder = tmp_path_factory.mktemp("region")
    with ExitStack() as resources:
        net = resources.enter_context(create_network("one", "two"))
        redis_url, mongo_url = (start(resources, net.address, folder) for start in (_redis, _mongo))
        here = Stack(
            folder / "here", environment=SHORT_TIMEOUTS, redis_url=redis_url, mongo_url=mongo_url, workers=False
        )
        resources.enter_context(here)
        stores = {
            "DARKROOM_REDIS_URL": redis_url,
            "DARKROOM_MONGO_URL": mongo_url,
            "DARKROOM_BLOB_URL": here.blob_folder.as_uri(),
        }
        for host in net.hosts:
            _worker(resources, host, folder / f"{host.name}.log", SHORT_TIMEOUTS | stores)
        http = resources.enter_context(httpx.Client(base_url=here.url, timeout=30, **HTTP_CLIENT_OPTIONS))
        mongo: pymongo.MongoClient[dict[str, Any]] = resources.enter_context(pymongo.MongoClient(mongo_url))
        yield Region(http, mongo.get_default_database()["jobs"], mongo_url, *net.hosts)


def _redis(resources: ExitStack, address: str, folder: Path) -> str:
    port, password = free_port(), secrets.token_hex(8)
    (folder / "redis").mkdir()
    command = bind_to(processes.redis(folder / "redis", port=port).command, address)
    resources.enter_context(run_logged_program(*command, "--requirepass", password, log=folder / "redis.log"))
    url = f"redis://:{password}@{address}:{port}/0"
    wait_until(lambda: readiness.is_redis_ready(url), "Redis")
    return url


def _mongo(resources: ExitStack, address: str, folder: Path) -> str:
    port = free_port()
    (folder / "mongo").mkdir()
    command = bind_to(processes.mongo(folder / "mongo", port=port).command, address)
    resources.enter_context(run_logged_program(*command, log=folder / "mongo.log"))
    url = f"mongodb://{address}:{port}/darkroom"
    wait_until(lambda: readiness.is_mongo_ready(url), "Mongo")
    return url


def _worker(resources: ExitStack, host: Host, log: Path, environment: dict[str, str]) -> None:
    """Run one worker of every queue on a host; it is ready when the first job that needs it is."""
    program = processes.worker("all", queues=QUEUES, concurrency=2, autostart=True)
    command = [f"all@{host.name}" if word.endswith("@%h") else word for word in program.command]
    resources.enter_context(run_logged_program(*host.command(*command), log=log, **environment, **program.environment))
    resources.callback(host.reconnect)  # before it is stopped, or it could not say good-bye


def _cut_off_at_work(region: Region, host: Host) -> list[str]:
    """Send jobs, and cut a host off in the middle of a stage of theirs; return the jobs."""
    sent: list[str] = []
    for _ in range(TRIES):
        sent += [submit_photo(region.http, large_photo()) for _ in range(JOBS)]
        wait_until(lambda: region.runs_on(host), f"{host.name} to work")
        host.cut_off()
        if region.runs_on(host):  # nobody but another can end it now
            return sent
        host.reconnect()
    raise AssertionError(f"{host.name} ended every stage before it was cut off")


def _used(region: Region, *hosts: Host) -> list[str]:
    """Send jobs until each of these hosts has done a stage of one; return the jobs."""
    sent: list[str] = []

    def are_used() -> bool:
        sent.extend(submit_photo(region.http, large_photo()) for _ in range(2))
        wait_for_all(region.http, sent)
        return {host.name for host in hosts} <= region.workers_of(*sent)

    wait_until(are_used, "every host to work")
    return sent


def test_jobs_are_done_by_workers_on_two_hosts_and_outlive_one_that_is_cut_off(region: Region) -> None:
    before = _used(region, region.one, region.two)

    during = _cut_off_at_work(region, region.one)
    wait_for_all(region.http, during, seconds=90)
    region.one.reconnect()
    after = _used(region, region.one)

    task_ids = before + during + after
    assert {job["status"] for job in wait_for_all(region.http, task_ids)} == {"done"}
    assert finalizations(region.mongo_url, task_ids) == {1}
