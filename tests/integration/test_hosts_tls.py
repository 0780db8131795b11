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

from deploy.local.stack import Stack
from gateway.middleware.rate_limit import create_limiter
from pipeline.broker.redis_urls import RedisUrl
from pipeline.notifications import ENDS_CHANNEL
from tests.conftest import SHORT_TIMEOUTS
from tests.integration.api_helpers import submit_photo, wait_for_all, wait_until
from tests.integration.progress import wait_for_the_resizes
from tests.support.http_options import HTTP_CLIENT_OPTIONS, HTTP_OPTIONS
from tests.support.images import photo_file
from tests.support.redis_servers import ACL_RULES, TlsRedis, run_tls_redis

JOBS = 5
large_photo = partial(photo_file, 2000, 1500)
LIMIT = "500/minute"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsRedis]:
    with run_tls_redis(tmp_path_factory.mktemp("run_tls_redis"), ACL_RULES) as server:
        yield server


@pytest.fixture(scope="module")
def distant(tmp_path_factory: pytest.TempPathFactory, server: TlsRedis) -> Iterator[Stack]:
    """A stack on that Redis."""
    environment = SHORT_TIMEOUTS | {"DARKROOM_ACCESS__RATE_LIMIT": LIMIT}
    folder = tmp_path_factory.mktemp("distant")
    with Stack(folder, shared_pool=2, environment=environment, redis_url=server.url, flower=True) as stack:
        yield stack


def test_all_processes_do_their_work_and_are_refused_nothing(distant: Stack, server: TlsRedis) -> None:
    with (
        httpx.Client(base_url=distant.url, timeout=30, **HTTP_CLIENT_OPTIONS) as http,
        server.open_admin_client() as admin,
    ):
        task_ids = [submit_photo(http, large_photo()) for _ in range(JOBS)]
        wait_for_the_resizes(http, task_ids)
        distant.signal("worker", signal.SIGKILL)

        jobs = wait_for_all(http, task_ids, seconds=90)
        wait_until(lambda: admin.hlen("unacked") == 0, "what the dead worker held to be delivered again")
        limited = http.post("/upload")
        shown = httpx.get(f"{distant.flower_url}/broker", timeout=10, **HTTP_OPTIONS)
        distant.stop_process("worker")

        assert {job["status"] for job in jobs} == {"done"}
        assert limited.headers["RateLimit-Policy"] == '"default";q=500;w=60'
        assert shown.status_code == 200
        assert http.get("/readyz").json()["checks"]["redis"]["ok"]
        assert dict(admin.pubsub_numsub(ENDS_CHANNEL))[ENDS_CHANNEL] == 1
        assert admin.acl_log() == []


@pytest.mark.parametrize(
    "command",
    ["FLUSHALL", "KEYS *", "CONFIG GET *", "GET foreign", "SET foreign 1", "PUBLISH foreign 1", "MONITOR", "SHUTDOWN"],
)
def test_its_user_may_do_nothing_else(server: TlsRedis, command: str) -> None:
    with RedisUrl(server.url).open() as redis, pytest.raises(NoPermissionError):
        redis.execute_command(*command.split())


def _stranger(server: TlsRedis) -> str:
    """Return the address for one who does not know the authority."""
    return urlsplit(server.url)._replace(query="").geturl()


def test_a_client_refuses_a_server_whose_certificate_nobody_vouches_for(server: TlsRedis) -> None:
    with RedisUrl(_stranger(server)).open() as redis, pytest.raises(RedisConnectionError, match="CERTIFICATE_VERIFY"):
        redis.ping()


async def test_the_gateway_refuses_it_too(server: TlsRedis) -> None:
    async with RedisUrl(_stranger(server)).open_async() as redis:
        with pytest.raises(RedisConnectionError, match="CERTIFICATE_VERIFY"):
            await redis.ping()


async def test_the_rate_limit_refuses_it_too(server: TlsRedis) -> None:
    counter = create_limiter(_stranger(server))

    with pytest.raises(StorageError):
        await counter.hit(parse("2/hour"), "ada")


def test_messages_are_not_sent_to_it_either(server: TlsRedis) -> None:
    url = RedisUrl(_stranger(server))

    with Connection(url.for_kombu(), ssl=url.tls) as broker, pytest.raises(OperationalError, match="CERTIFICATE"):
        broker.ensure_connection(max_retries=1)


def test_it_answers_nobody_without_tls(server: TlsRedis) -> None:
    parts = urlsplit(server.url)

    with (
        Redis.from_url(parts._replace(scheme="redis", query="").geturl()) as redis,
        pytest.raises(RedisConnectionError),
    ):
        redis.ping()
