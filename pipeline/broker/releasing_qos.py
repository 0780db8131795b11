"""kombu's QoS for Redis, which keeps the messages that a worker holds: none is held forever, or taken too early."""

from __future__ import annotations

from typing import Any

from kombu.transport.redis import QoS

from pipeline.broker.redis_clock import measure_redis_clock
from pipeline.broker.unreadable_messages import report_unreadable_message


class ReleasingQoS(QoS):
    """Releases a message whose acknowledgement did not reach Redis, and measures the clock of Redis.

    kombu's own class holds such a message forever. A worker may hold one message for each of its processes, so it then
    receives no more, reads nothing, and does not notice that its connection is lost. Here the worker drops the message.
    Redis still has it as unacknowledged, and delivers it again after the visibility timeout.

    Any worker delivers the messages of all others again. With kombu's own clock, the wall clock, a worker whose clock
    is ahead would deliver them while they are worked on.
    """

    channel: Any
    _quick_ack: Any  # method of kombu's virtual transports that drops a message
    _remove_from_indices: Any  # method of kombu's Redis transport that removes a message from Redis

    def __init__(self, *args: Any, **options: Any) -> None:
        """Prepare for a new channel, also after a lost connection: the server may be another one then."""
        super().__init__(*args, **options)
        self._measure_clock()

    def restore_visible(self, *args: Any, **options: Any) -> None:
        """Deliver again what any worker has held for longer than the visibility timeout; called every few seconds."""
        self._measure_clock()
        super().restore_visible(*args, **options)

    def ack(self, delivery_tag: Any) -> None:
        """Acknowledge a message. Raises the errors of Redis; the message is released in any case."""
        try:
            super().ack(delivery_tag)
        finally:
            self._quick_ack(delivery_tag)

    def reject(self, delivery_tag: Any, requeue: bool = False) -> None:  # noqa: FBT002  # kombu's own
        """Reject a message, which is then delivered again or discarded. Raises as `ack` does."""
        try:
            super().reject(delivery_tag, requeue=requeue)
        finally:
            self._quick_ack(delivery_tag)

    def restore_by_tag(self, tag: Any, client: Any = None, leftmost: bool = False) -> None:  # noqa: FBT002  # kombu's own
        """Return a message to its queue. One that cannot be read is dropped, so that the others are returned."""
        try:
            super().restore_by_tag(tag, client, leftmost)
        except (ValueError, TypeError) as error:
            self._remove_from_indices(tag).execute()
            report_unreadable_message(error, message_id=tag)

    def _measure_clock(self) -> None:
        with self.channel.conn_or_acquire() as client:
            measure_redis_clock(client)
