"""A Redis elsewhere: over TLS, and with a user who may do what Darkroom does, and nothing else."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from functools import partial
from urllib.parse import urlsplit

import httpx
import pytest
from kombu import Connection
from kombu.exceptions import OperationalError
from limits import parse
from limits.errors import StorageError
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoPermissionError

from deploy.stack import Stack
from gateway.middleware.rate_limit import limiter
from pipeline.broker.redis_urls import RedisUrl
from pipeline.notifications import ENDS
from tests.conftest import IMPATIENT
from tests.direct import DIRECT, DIRECT_CLIENT
from tests.images import photo_file
from tests.integration.journey import accepted, all_ended, wait_until
from tests.integration.progress import wait_for_the_resizes
from tests.redis_servers import RIGHTS, Secured, secured

JOBS = 5
large_photo = partial(photo_file, 2000, 1500)
LIMIT = "500/minute"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    with secured(tmp_path_factory.mktemp("secured"), RIGHTS) as server:
        yield server


@pytest.fixture(scope="module")
def distant(tmp_path_factory: pytest.TempPathFactory, server: Secured) -> Iterator[Stack]:
    """A stack on that Redis."""
    environment = IMPATIENT | {"DARKROOM_ACCESS__RATE_LIMIT": LIMIT}
    folder = tmp_path_factory.mktemp("distant")
    with Stack(folder, shared_pool=2, environment=environment, redis_url=server.url, flower=True) as stack:
        yield stack


def test_all_processes_do_their_work_and_are_refused_nothing(distant: Stack, server: Secured) -> None:
    with httpx.Client(base_url=distant.url, timeout=30, **DIRECT_CLIENT) as http, server.overseer() as overseer:
        task_ids = [accepted(http, large_photo()) for _ in range(JOBS)]
        wait_for_the_resizes(http, task_ids)
        distant.signal("worker", signal.SIGKILL)

        jobs = all_ended(http, task_ids, seconds=90)
        wait_until(lambda: overseer.hlen("unacked") == 0, "what the dead worker held to be delivered again")
        limited = http.post("/upload")
        shown = httpx.get(f"{distant.flower_url}/broker", timeout=10, **DIRECT)
        distant.stop_process("worker")

        assert {job["status"] for job in jobs} == {"done"}
        assert limited.headers["RateLimit-Policy"] == '"default";q=500;w=60'
        assert shown.status_code == 200
        assert http.get("/readyz").json()["checks"]["redis"]["ok"]
        assert dict(overseer.pubsub_numsub(ENDS))[ENDS] == 1
        assert overseer.acl_log() == []


@pytest.mark.parametrize(
    "command",
    ["FLUSHALL", "KEYS *", "CONFIG GET *", "GET foreign", "SET foreign 1", "PUBLISH foreign 1", "MONITOR", "SHUTDOWN"],
)
def test_its_user_may_do_nothing_else(server: Secured, command: str) -> None:
    with RedisUrl(server.url).open() as redis, pytest.raises(NoPermissionError):
        redis.execute_command(*command.split())


def _stranger(server: Secured) -> str:
    """Return the address for one who does not know the authority."""
    return urlsplit(server.url)._replace(query="").geturl()


def test_a_client_refuses_a_server_whose_certificate_nobody_vouches_for(server: Secured) -> None:
    with RedisUrl(_stranger(server)).open() as redis, pytest.raises(RedisConnectionError, match="CERTIFICATE_VERIFY"):
        redis.ping()


async def test_the_gateway_refuses_it_too(server: Secured) -> None:
    async with RedisUrl(_stranger(server)).open_async() as redis:
        with pytest.raises(RedisConnectionError, match="CERTIFICATE_VERIFY"):
            await redis.ping()


async def test_the_rate_limit_refuses_it_too(server: Secured) -> None:
    counter = limiter(_stranger(server))

    with pytest.raises(StorageError):
        await counter.hit(parse("2/hour"), "ada")


def test_messages_are_not_sent_to_it_either(server: Secured) -> None:
    url = RedisUrl(_stranger(server))

    with Connection(url.for_kombu(), ssl=url.tls) as broker, pytest.raises(OperationalError, match="CERTIFICATE"):
        broker.ensure_connection(max_retries=1)


def test_it_answers_nobody_without_tls(server: Secured) -> None:
    parts = urlsplit(server.url)

    with (
        Redis.from_url(parts._replace(scheme="redis", query="").geturl()) as redis,
        pytest.raises(RedisConnectionError),
    ):
        redis.ping()
