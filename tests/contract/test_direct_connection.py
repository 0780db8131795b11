"""A connection that stays open: it survives what happens to it between two uses, and each reply is its command's."""

from __future__ import annotations

import pytest
from redis import ConnectionPool, Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import MaxConnectionsError, NoScriptError, ResponseError

from pipeline.broker.direct_connection import DirectConnection
from pipeline.broker.redis_scripts import RedisScript
from tests.support.fakes import UNREACHABLE_URL


@pytest.fixture
def connection(redis: Redis) -> DirectConnection:
    return DirectConnection(redis.connection_pool)


def test_each_command_of_a_packet_has_its_reply(connection: DirectConnection) -> None:
    assert connection.execute(("SET", "a", 1), ("GET", "a"), ("EXISTS", "b")) == [b"OK", b"1", 0]


def test_an_error_does_not_leave_the_replies_of_the_commands_after_it(connection: DirectConnection) -> None:
    with pytest.raises(ResponseError):
        connection.execute(("SET", "a", 1), ("LPUSH", "a", 2), ("GET", "a"))

    assert connection.execute(("GET", "a")) == [b"1"]


def test_a_connection_that_redis_has_closed_is_opened_again(redis: Redis, connection: DirectConnection) -> None:
    [before] = connection.execute(("CLIENT", "ID"))
    redis.client_kill_filter(_id=str(before))

    [after] = connection.execute(("CLIENT", "ID"))

    assert after != before


def test_a_replica_is_left(connection: DirectConnection) -> None:
    [before] = connection.execute(("CLIENT", "ID"))

    with pytest.raises(ResponseError):
        connection.execute(("EVAL", "return redis.error_reply('READONLY it is a replica')", 0))

    assert connection.execute(("CLIENT", "ID")) != [before]


def test_a_server_that_does_not_answer_is_an_error_of_redis() -> None:
    connection = DirectConnection(Redis.from_url(UNREACHABLE_URL).connection_pool)

    with pytest.raises(RedisConnectionError):
        connection.execute(("PING",))


def test_a_long_outage_does_not_use_up_the_connections_of_the_pool() -> None:
    connection = DirectConnection(ConnectionPool.from_url(UNREACHABLE_URL, max_connections=2))
    for _ in range(3):
        with pytest.raises(RedisConnectionError):
            connection.execute(("PING",))

    with pytest.raises(RedisConnectionError) as error:
        connection.execute(("PING",))

    assert not isinstance(error.value, MaxConnectionsError)


def test_a_script_is_sent_to_a_server_that_does_not_know_it(redis: Redis, connection: DirectConnection) -> None:
    script = RedisScript("return {KEYS[1], ARGV[1]}")
    redis.script_flush()

    for _ in range(2):
        assert script.run(connection, ["key"], ["value"]) == [b"key", b"value"]

    with pytest.raises(NoScriptError):
        connection.execute(("EVALSHA", "0" * 40, 0))
