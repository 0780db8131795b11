"""The Redis of the overlay `small`, started by its own script: what the user of gateway and workers may do there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoPermissionError

from deploy.generate.kustomize import render
from deploy.local.ports import free_port
from tests.integration.api_helpers import wait_until
from tests.support.prometheus_config import ROOT
from tests.support.redis_servers import run_redis_by_script

PASSWORD = "a-password"  # noqa: S105
SCRIPT = next(
    each["spec"]["template"]["spec"]["containers"][0]["command"][-1]
    for each in render(ROOT / "deploy/kubernetes/overlays/small")
    if (each["kind"], each["metadata"]["name"]) == ("StatefulSet", "redis")
)


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The server's port."""
    folder, port = tmp_path_factory.mktemp("redis"), free_port()
    script = SCRIPT.replace("redis-server -", f"redis-server - --port {port} --dir {folder}")
    with run_redis_by_script(folder, script.replace("--bind 0.0.0.0", "--bind 127.0.0.1"), REDIS_PASSWORD=PASSWORD):
        wait_until(lambda: answers(port), "Redis")
        yield port


def answers(port: int) -> bool:
    """Whether the server answers the probe of the pod."""
    try:
        with Redis(port=port, username="probe", password="none") as probe:  # noqa: S106
            return bool(probe.ping())
    except RedisConnectionError:
        return False


@pytest.fixture
def redis(port: int) -> Iterator[Redis]:
    """A client with the address that README.md puts into the Secret."""
    with Redis.from_url(f"redis://:{PASSWORD}@127.0.0.1:{port}/0") as client:
        yield client


@pytest.mark.parametrize(
    "command",
    [
        *("FLUSHALL", "FLUSHDB", "CONFIG GET *", "SHUTDOWN", "ACL LIST", "KEYS *", "MONITOR"),
        *("CLIENT LIST", "CLIENT KILL TYPE normal", "REPLICAOF NO ONE", "SAVE", "MODULE LIST", "SLOWLOG GET"),
    ],
)
def test_no_command_that_empties_configures_lists_or_stops(redis: Redis, command: str) -> None:
    with pytest.raises(NoPermissionError):
        redis.execute_command(*command.split())  # type: ignore[no-untyped-call]


def test_messages_chords_and_notifications_go_on(redis: Redis) -> None:
    redis.rpush("validate", "a message")
    redis.publish("darkroom.changes", "a job")
    with redis.pipeline() as transaction:
        transaction.hset("unacked", "a tag", "a message")
        transaction.zadd("unacked_index", {"a tag": 1})
        transaction.execute()

    assert redis.brpop(["validate"], timeout=1) == (b"validate", b"a message")
    assert redis.eval("return redis.call('incr', KEYS[1])", 1, "a chord") == 1
    assert redis.info("server")["redis_version"]


def test_the_probe_may_do_nothing_else_and_nobody_comes_in_without_a_password(port: int) -> None:
    for client in (Redis(port=port, username="probe", password="none"), Redis(port=port)):  # noqa: S106
        with client, pytest.raises((NoPermissionError, RedisConnectionError)):
            client.get("validate")
