"""Patches of kombu's transports: connections, clients, clocks, confirmations, unreadable messages, the event loop."""

from __future__ import annotations

from typing import Any

from amqp.exceptions import AMQPError, MessageNacked, RecoverableConnectionError
from kombu.exceptions import OperationalError
from kombu.transport import pyamqp
from kombu.transport import redis as stock
from redis.connection import DefaultParser
from redis.exceptions import (
    ClusterDownError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError

from pipeline.broker import redis_entries, redis_polling
from pipeline.broker.redis_clock import redis_time
from pipeline.broker.releasing_qos import ReleasingQoS

REFUSALS = ("BUSY", "MISCONF", "NOREPLICAS", "UNBLOCKED")
"""Answers for which redis-py has no class: a script runs, the disk is full, there are too few replicas, the server has
become a replica."""


class RefusedError(ResponseError):
    """Redis refuses a command that it will take later."""


UNWRITABLE = (RefusedError, OutOfMemoryError, ReadOnlyError, ClusterDownError, TryAgainError)
"""Errors of a Redis that is full, has become a replica, or refuses for now. It answers, but is as unusable as one that
is down. What is wrong with a command, which a message may have made of it, is no such error."""
BROKER_ERRORS = (OperationalError, RedisError, AMQPError, OSError)
"""Errors of a broker, Redis or RabbitMQ, that is down or refuses."""

_Channel: Any = stock.Channel
_make_client = _Channel._create_client  # noqa: SLF001  # it has no public hook
_describe_connection = _Channel._connparams  # noqa: SLF001
_RabbitChannel: Any = pyamqp.Channel
_RabbitTransport: Any = pyamqp.Transport
_publish = _RabbitChannel.basic_publish_confirm
_RedisTransport: Any = stock.Transport
_deliver = _RedisTransport._deliver  # noqa: SLF001
_restore = _Channel._do_restore_message  # noqa: SLF001


def _reuse_client(self: Any, asynchronous: bool = False) -> Any:  # noqa: FBT002  # kombu's own
    """Return the channel's cached client. kombu creates one for each command, which is a tenth of a command's cost."""
    if asynchronous:
        return _make_client(self, asynchronous)
    client = vars(self).get("_cached_client")
    if client is None or client.connection_pool is not self.pool:  # kombu drops the pool of a lost connection
        client = self._cached_client = _make_client(self)
    return client


def _connect_unless_closed(self: Any, asynchronous: bool = False) -> Any:  # noqa: FBT002  # kombu's own
    """Return how to connect to Redis. Raise a lost connection for a channel whose transport is closed already.

    kombu closes the transport although closing its channel failed, then closes the channel again, and acknowledges what
    it had delivered. Without an address it would raise an AttributeError, which ends the worker.
    """
    if self.connection is None or self.connection.client is None:
        raise RedisConnectionError("The connection of this channel is closed")
    return _describe_connection(self, asynchronous)


def _publish_or_disconnect(self: Any, *args: Any, **options: Any) -> Any:
    """Publish, and wait for the confirmation that a queue has the message; disconnect when none comes.

    py-amqp would take a late confirmation for that of the next message. New connections also declare the queues again.
    """
    connection, is_confirmed = self.connection, False
    is_for_queue = not options.get("exchange")
    try:
        answer = _publish(self, *args, **options | ({"mandatory": True} if is_for_queue else {}))
        is_confirmed = True
    except (AMQPError, MessageNacked, OSError) as error:
        raise RecoverableConnectionError(f"RabbitMQ did not confirm a message: {error!r}") from error
    finally:
        if connection is not None and not is_confirmed:
            connection.collect()
    return answer


def _is_connected(self: Any, connection: Any) -> bool:  # noqa: ARG001  # kombu's own
    """Whether the connection is open. Without heartbeats, as in connection pools, only a read detects a closed one."""
    if not connection.connected:
        return False
    if connection.heartbeat:
        return True
    try:
        connection.drain_events(timeout=0)
    except TimeoutError:  # nothing to read, and not closed
        return True
    except (AMQPError, OSError):
        connection.collect()
        return False
    return bool(connection.connected)


def patch_kombu() -> None:
    """Patch kombu's classes in each process that imports the app. Without the patches, a full Redis ends workers."""
    DefaultParser.EXCEPTION_CLASSES.update(dict.fromkeys(REFUSALS, RefusedError))
    _Channel._create_client = _reuse_client  # noqa: SLF001
    _Channel._connparams = _connect_unless_closed  # noqa: SLF001
    _Channel._do_restore_message = redis_entries.restore_readable(_restore)  # noqa: SLF001
    _Channel.QoS = ReleasingQoS
    vars(stock).update(
        time=redis_time,  # kombu uses it only for the time since which a message is held
        loads=redis_entries.parse_entry,
    )
    _RedisTransport._deliver = redis_entries.deliver_readable(_deliver)  # noqa: SLF001
    _RedisTransport.register_with_event_loop = redis_polling.register_with_event_loop
    stock.Transport.connection_errors = (*stock.Transport.connection_errors, *UNWRITABLE)
    _RabbitChannel.basic_publish_confirm = _publish_or_disconnect
    _RabbitTransport.verify_connection = _is_connected
