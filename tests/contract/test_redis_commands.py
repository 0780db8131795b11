"""Commands whose replies a worker does not wait for: Redis carries them out, and their errors come later."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from redis import ConnectionPool, Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.sentinel import SentinelConnectionPool

from deploy.local.ports import free_port
from pipeline.broker.redis_commands import Command, UnawaitedCommands
from pipeline.settings import Settings


def loading(times: int) -> Command:
    """Return a command that Redis refuses so many times, as one that has just started."""
    refuse = (
        f"if redis.call('INCR', KEYS[1]) <= {times} then return redis.error_reply('LOADING it reads its files') end"
    )
    return "EVAL", refuse, 1, "answers"


@pytest.fixture(params=["one server", "sentinels"])
def commands(settings: Settings, request: pytest.FixtureRequest) -> Iterator[UnawaitedCommands]:
    pool = ConnectionPool.from_url(settings.redis_url)
    if request.param == "sentinels":
        address, database = (pool.connection_kwargs[name] for name in ("host", "port")), pool.connection_kwargs["db"]
        sentinels: Any = SimpleNamespace(discover_master=lambda _, address=tuple(address): address)
        make_pool: Any = SentinelConnectionPool  # it has no types
        pool = make_pool("master", sentinels, db=database)
    commands = UnawaitedCommands(pool)
    yield commands
    commands.close()


def test_redis_has_carried_out_what_was_waited_for(commands: UnawaitedCommands, redis: Redis) -> None:
    commands.send(("SET", "a", "1"), ("SET", "b", "2"))
    commands.send(("SET", "c", "3"))

    commands.wait()

    assert redis.mget("a", "b", "c") == [b"1", b"2", b"3"]


def test_an_error_is_raised_by_the_next_call_which_is_carried_out(commands: UnawaitedCommands, redis: Redis) -> None:
    commands.send(("HSET", "a"), ("SET", "b", "1"))

    with pytest.raises(ResponseError):
        commands.send(("SET", "c", "1"))
    commands.wait()

    assert redis.mget("b", "c") == [b"1", b"1"]


@pytest.mark.parametrize("then", ["send", "wait"])
def test_what_a_lost_connection_may_have_lost_is_sent_again(
    commands: UnawaitedCommands, redis: Redis, then: str
) -> None:
    commands.send(("SET", "a", "1"))
    commands.wait()
    disconnect_others(redis)
    commands.send(("SET", "b", "1"))  # the system takes it, but Redis does not

    if then == "send":
        commands.send(("SET", "c", "1"))
    commands.wait()

    assert redis.get("b") == b"1"
    assert redis.get("c") == (b"1" if then == "send" else None)


@pytest.mark.parametrize("then", ["send", "wait"])
def test_what_a_redis_refuses_that_has_just_started_is_sent_again(
    commands: UnawaitedCommands, redis: Redis, then: str
) -> None:
    commands.send(loading(1), ("RPUSH", "a", "1"))
    if then == "send":
        commands.send(("RPUSH", "a", "2"))
    commands.wait()

    commands.send(("HSET", "a"))
    with pytest.raises(ResponseError):  # each command has its own reply again
        commands.wait()

    assert redis.get("answers") == b"2"


def test_a_redis_that_goes_on_to_refuse_is_an_error_until_it_does_not(
    commands: UnawaitedCommands, redis: Redis
) -> None:
    commands.send(loading(2), ("RPUSH", "a", "1"))
    with pytest.raises(RedisConnectionError):
        commands.wait()

    commands.wait()

    assert redis.get("answers") == b"3"


def test_an_unreachable_redis_is_an_error(redis: Redis) -> None:  # noqa: ARG001  # another one is there
    commands = UnawaitedCommands(ConnectionPool(port=free_port()))

    with pytest.raises(RedisConnectionError):
        commands.send(("SET", "a", "1"))


def test_a_closed_one_owes_no_replies(commands: UnawaitedCommands, redis: Redis) -> None:
    commands.send(("HSET", "a"))

    commands.close()
    commands.send(("SET", "b", "1"))
    commands.wait()

    assert redis.get("b") == b"1"


def disconnect_others(redis: Redis) -> None:
    """Have Redis close all connections to database 14 except this one."""
    mine = redis.client_id()
    others: list[dict[str, Any]] = redis.client_list()
    for other in others:
        if other["db"] == "14" and int(other["id"]) != mine:
            redis.client_kill_filter(_id=other["id"])
