"""A Redis behind sentinels: its master is killed at work, and the jobs go on with the next."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import httpx
import pytest

from deploy.local.stack import Stack
from pipeline.notifications import ENDS_CHANNEL
from tests.conftest import SHORT_TIMEOUTS
from tests.integration.api_helpers import submit_photo, wait_for_all, wait_until
from tests.integration.progress import finalizations, wait_for_the_resizes
from tests.support.http_options import HTTP_CLIENT_OPTIONS, HTTP_OPTIONS
from tests.support.images import photo_file
from tests.support.redis_sentinels import SentinelCluster, run_sentinels
from tests.support.redis_servers import ACL_RULES

JOBS = 6
large_photo = partial(photo_file, 2000, 1500)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SentinelCluster]:
    with run_sentinels(tmp_path_factory.mktemp("watched"), ACL_RULES) as watched:
        yield watched


@pytest.fixture(scope="module")
def following(tmp_path_factory: pytest.TempPathFactory, watched: SentinelCluster) -> Iterator[Stack]:
    """A stack that finds its Redis through them."""
    environment = SHORT_TIMEOUTS | {"DARKROOM_ACCESS__RATE_LIMIT": "500/minute"}
    folder = tmp_path_factory.mktemp("following")
    with Stack(folder, shared_pool=2, environment=environment, redis_url=watched.url, flower=True) as stack:
        yield stack


@pytest.fixture(scope="module")
def http(following: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=following.url, timeout=30, **HTTP_CLIENT_OPTIONS) as http:
        yield http


def test_jobs_outlive_a_master_that_hangs_and_comes_back_as_a_replica(
    following: Stack, watched: SentinelCluster, http: httpx.Client
) -> None:
    before = [submit_photo(http, large_photo()) for _ in range(JOBS)]
    wait_for_the_resizes(http, before)

    with watched.freeze_master() as old:
        during = [submit_photo(http, large_photo()) for _ in range(2)]
        jobs = wait_for_all(http, before + during, seconds=90)
        new = watched.master_port()
    wait_until(lambda: watched.is_synced_replica(old) or watched.is_synced_replica(new), "one to follow the other")
    after = submit_photo(http, large_photo())

    assert new != old
    assert {job["status"] for job in [*jobs, *wait_for_all(http, [after])]} == {"done"}
    assert finalizations(following.mongo_url, [*before, *during, after]) == {1}


def test_jobs_outlive_the_master_of_their_messages(
    following: Stack, watched: SentinelCluster, http: httpx.Client
) -> None:
    before = [submit_photo(http, large_photo()) for _ in range(JOBS)]
    wait_for_the_resizes(http, before)

    killed = watched.kill_master()
    during = [submit_photo(http, large_photo()) for _ in range(2)]
    jobs = wait_for_all(http, before + during, seconds=90)
    after = submit_photo(http, large_photo())

    assert watched.master_port() != killed
    assert {job["status"] for job in [*jobs, *wait_for_all(http, [after])]} == {"done"}
    assert finalizations(following.mongo_url, [*before, *during, after]) == {1}


def test_everybody_has_moved_to_the_next_master(following: Stack, watched: SentinelCluster, http: httpx.Client) -> None:
    limited = http.post("/upload")
    shown = httpx.get(f"{following.flower_url}/broker", timeout=10, **HTTP_OPTIONS)

    with watched.server(watched.master_port()) as master:
        wait_until(
            lambda: dict(master.pubsub_numsub(ENDS_CHANNEL))[ENDS_CHANNEL] == 1, "the gateway to listen for hints"
        )
        assert master.acl_log() == []
    assert limited.headers["RateLimit-Policy"] == '"default";q=500;w=60'
    assert shown.status_code == 200
    assert http.get("/readyz").json()["checks"]["redis"]["ok"]
