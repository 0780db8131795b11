"""kombu's transports, with changes: what counts as a lost connection, what is kept of one, and when it is looked at."""

from __future__ import annotations

from typing import Any

from amqp.exceptions import AMQPError, MessageNacked, RecoverableConnectionError
from kombu.exceptions import OperationalError
from kombu.transport import pyamqp
from kombu.transport import redis as stock
from redis.exceptions import OutOfMemoryError, ReadOnlyError, RedisError

from pipeline.broker.releasing_qos import ReleasingQoS

UNWRITABLE = (OutOfMemoryError, ReadOnlyError)
"""A Redis that is full, or has become a replica: it answers, and is as much away as one that does not."""
BROKER_ERRORS = (OperationalError, RedisError, AMQPError, OSError)
"""What comes of using a broker that is away, or refuses, whichever it is."""

_Channel: Any = stock.Channel
_make_client = _Channel._create_client  # noqa: SLF001  # it has no public hook
_RabbitChannel: Any = pyamqp.Channel
_RabbitTransport: Any = pyamqp.Transport
_publish = _RabbitChannel.basic_publish_confirm


def _reuse_client(self: Any, asynchronous: bool = False) -> Any:  # noqa: FBT002  # kombu's own
    """Return the channel's client of its connection pool; kombu makes one for each command, at a tenth of its cost."""
    if asynchronous:
        return _make_client(self, asynchronous)
    kept = vars(self).get("_cached_client")
    if kept is None or kept.connection_pool is not self.pool:  # a lost connection takes its pool along
        kept = self._cached_client = _make_client(self)
    return kept


def _publish_or_disconnect(self: Any, *args: Any, **options: Any) -> Any:
    """Publish, and wait for the confirmation that a queue has the message; hang up when none comes.

    If it came later, py-amqp would take it for that of the next message; and queues are declared on new connections.
    """
    connection, confirmed = self.connection, False
    to_a_queue = not options.get("exchange")
    try:
        answer = _publish(self, *args, **options | ({"mandatory": True} if to_a_queue else {}))
        confirmed = True
    except (AMQPError, MessageNacked, OSError) as error:
        raise RecoverableConnectionError(f"RabbitMQ did not confirm a message: {error!r}") from error
    finally:
        if connection is not None and not confirmed:
            connection.collect()
    return answer


def _is_connected(self: Any, connection: Any) -> bool:  # noqa: ARG001  # kombu's own
    """Whether RabbitMQ has not hung up. Without heartbeats, as in pools of connections, only reading can tell."""
    if not connection.connected:
        return False
    if connection.heartbeat:
        return True
    try:
        connection.drain_events(timeout=0)
    except TimeoutError:  # nothing has come, nor has the end
        return True
    except (AMQPError, OSError):
        connection.collect()
        return False
    return bool(connection.connected)


def patch_kombu() -> None:
    """Change kombu's classes, for every process that imports the app; without this a full Redis ends workers."""
    _Channel._create_client = _reuse_client  # noqa: SLF001
    _Channel.QoS = ReleasingQoS
    stock.Transport.connection_errors = (*stock.Transport.connection_errors, *UNWRITABLE)
    _RabbitChannel.basic_publish_confirm = _publish_or_disconnect
    _RabbitTransport.verify_connection = _is_connected
