"""kombu's QoS for Redis, which keeps the messages that a worker holds: none is held forever, or taken too early."""

from __future__ import annotations

import json
from contextlib import suppress
from functools import cached_property
from time import monotonic_ns
from typing import Any

from kombu.transport import virtual
from kombu.transport.redis import QoS
from redis.exceptions import RedisError, ResponseError

from pipeline.broker.redis_clock import measure_redis_clock, record_redis_time, redis_time
from pipeline.broker.redis_commands import UnawaitedCommands
from pipeline.broker.redis_entries import entry_text
from pipeline.broker.unreadable_messages import report_unreadable_message


class ReleasingQoS(QoS):
    """Releases a message whose acknowledgement did not reach Redis, and measures the clock of Redis.

    kombu's own class holds such a message forever. A worker may hold one message for each of its processes, so it then
    receives no more, reads nothing, and does not notice that its connection is lost. Here the worker drops the message.
    Redis still has it as unacknowledged, and delivers it again after the visibility timeout.

    Any worker delivers the messages of all others again. With kombu's own clock, the wall clock, a worker whose clock
    is ahead would deliver them while they are worked on.

    kombu also waits for Redis when it notes and acknowledges a message. Here it does not wait. Redis carries out the
    commands all the same, unless the connection fails. Then a message is delivered once more, or after a crash of the
    worker not at all, as one that Redis loses between the queue and the worker.
    """

    channel: Any
    _quick_ack: Any  # method of kombu's virtual transports that drops a message
    _remove_from_indices: Any  # method of kombu's Redis transport that removes a message from Redis

    def __init__(self, *args: Any, **options: Any) -> None:
        """Prepare for a new channel, also after a lost connection: the server may be another one then."""
        super().__init__(*args, **options)
        with self.channel.conn_or_acquire() as client:
            measure_redis_clock(client)

    @cached_property
    def _commands(self) -> UnawaitedCommands:
        return UnawaitedCommands(self.channel.pool)

    def append(self, message: Any, delivery_tag: Any) -> None:
        """Note that this worker holds a message. Raises the errors of Redis."""
        delivery = message.delivery_info
        text = entry_text(message._raw)  # noqa: SLF001  # the entry of the queue
        held = f"[{text}, {json.dumps(delivery['exchange'])}, {json.dumps(delivery['routing_key'])}]"
        virtual.QoS.append(self, message, delivery_tag)
        self._commands.send(
            ("ZADD", self.unacked_index_key, redis_time(), delivery_tag),
            ("HSET", self.unacked_key, delivery_tag, held),
        )

    def ack(self, delivery_tag: Any) -> None:
        """Acknowledge a message. Raises the errors of Redis; the message is released in any case."""
        self._quick_ack(delivery_tag)
        self._remove(delivery_tag)

    def reject(self, delivery_tag: Any, requeue: bool = False) -> None:  # noqa: FBT002  # kombu's own
        """Reject a message, which is then delivered again or discarded. Raises as `ack` does."""
        self._quick_ack(delivery_tag)
        if requeue:
            self.restore_by_tag(delivery_tag, leftmost=True)
        else:
            self._remove(delivery_tag)

    def restore_unacked_once(self, stderr: Any = None) -> None:
        """Return the messages that this worker holds to their queues, and disconnect; called when a channel closes."""
        try:
            super().restore_unacked_once(stderr)
        finally:
            commands = vars(self).pop("_commands", None)
            if commands is not None:
                with suppress(RedisError):
                    commands.wait()
                commands.close()

    def restore_visible(self, *args: Any, **options: Any) -> None:
        """Deliver again what any worker has held for longer than the visibility timeout; called every few seconds.

        kombu takes a lock each time. Here it does only when there is something to deliver.
        """
        if self._is_any_due():
            super().restore_visible(*args, **options)

    def restore_by_tag(self, tag: Any, client: Any = None, leftmost: bool = False) -> None:  # noqa: FBT002  # kombu's own
        """Return a message to its queue. One that cannot be read is dropped, so that the others are returned."""
        with suppress(ResponseError):  # of another message, whose command does not concern this one
            self._commands.wait()  # over another connection, Redis could get this command first
        try:
            super().restore_by_tag(tag, client, leftmost)
        except (ValueError, TypeError) as error:
            self._remove_from_indices(tag).execute()
            report_unreadable_message(error, message_id=tag)

    def _remove(self, delivery_tag: Any) -> None:
        self._commands.send(
            ("HDEL", self.unacked_key, delivery_tag),
            ("ZREM", self.unacked_index_key, delivery_tag),  # the last one: what is in no index is held forever
        )

    def _is_any_due(self) -> bool:
        """Measure the clock of Redis, and look at the message that has been held for the longest time."""
        with self.channel.conn_or_acquire() as client:
            sent_ns = monotonic_ns()
            index = self.unacked_index_key
            now, first = client.pipeline(transaction=False).time().zrange(index, 0, 0, withscores=True).execute()
        record_redis_time(now, sent_ns=sent_ns)
        return bool(first) and first[0][1] <= redis_time() - self.visibility_timeout
