"""A Redis behind sentinels: its master is killed at work, and the jobs go on with the next."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import httpx
import pytest

from deploy.stack import Stack
from pipeline.notifications import ENDS
from tests.conftest import IMPATIENT
from tests.direct import DIRECT, DIRECT_CLIENT
from tests.images import photo_file
from tests.integration.journey import accepted, all_ended, wait_until
from tests.integration.progress import finalizations, wait_for_the_resizes
from tests.redis_servers import RIGHTS
from tests.sentinels import Watched, sentinels

JOBS = 6
large_photo = partial(photo_file, 2000, 1500)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with sentinels(tmp_path_factory.mktemp("watched"), RIGHTS) as watched:
        yield watched


@pytest.fixture(scope="module")
def following(tmp_path_factory: pytest.TempPathFactory, watched: Watched) -> Iterator[Stack]:
    """A stack that finds its Redis through them."""
    environment = IMPATIENT | {"DARKROOM_ACCESS__RATE_LIMIT": "500/minute"}
    folder = tmp_path_factory.mktemp("following")
    with Stack(folder, shared_pool=2, environment=environment, redis_url=watched.url, flower=True) as stack:
        yield stack


@pytest.fixture(scope="module")
def http(following: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=following.url, timeout=30, **DIRECT_CLIENT) as http:
        yield http


def test_jobs_outlive_a_master_that_hangs_and_comes_back_as_a_replica(
    following: Stack, watched: Watched, http: httpx.Client
) -> None:
    before = [accepted(http, large_photo()) for _ in range(JOBS)]
    wait_for_the_resizes(http, before)

    with watched.frozen_master() as old:
        during = [accepted(http, large_photo()) for _ in range(2)]
        jobs = all_ended(http, before + during, seconds=90)
        new = watched.master_port()
    wait_until(lambda: watched.follows(old) or watched.follows(new), "one to follow the other")
    after = accepted(http, large_photo())

    assert new != old
    assert {job["status"] for job in [*jobs, *all_ended(http, [after])]} == {"done"}
    assert finalizations(following.mongo_url, [*before, *during, after]) == {1}


def test_jobs_outlive_the_master_of_their_messages(following: Stack, watched: Watched, http: httpx.Client) -> None:
    before = [accepted(http, large_photo()) for _ in range(JOBS)]
    wait_for_the_resizes(http, before)

    killed = watched.kill_master()
    during = [accepted(http, large_photo()) for _ in range(2)]
    jobs = all_ended(http, before + during, seconds=90)
    after = accepted(http, large_photo())

    assert watched.master_port() != killed
    assert {job["status"] for job in [*jobs, *all_ended(http, [after])]} == {"done"}
    assert finalizations(following.mongo_url, [*before, *during, after]) == {1}


def test_everybody_has_moved_to_the_next_master(following: Stack, watched: Watched, http: httpx.Client) -> None:
    limited = http.post("/upload")
    shown = httpx.get(f"{following.flower_url}/broker", timeout=10, **DIRECT)

    with watched.server(watched.master_port()) as master:
        wait_until(lambda: dict(master.pubsub_numsub(ENDS))[ENDS] == 1, "the gateway to listen for hints")
        assert master.acl_log() == []
    assert limited.headers["RateLimit-Policy"] == '"default";q=500;w=60'
    assert shown.status_code == 200
    assert http.get("/readyz").json()["checks"]["redis"]["ok"]
