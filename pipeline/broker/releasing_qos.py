"""kombu's quality of service for Redis, which counts the messages that a worker holds: none is kept for ever."""

from __future__ import annotations

from typing import Any

from kombu.transport.redis import QoS


class ReleasingQoS(QoS):
    """Releases a message whose acknowledgement did not reach Redis.

    kombu's own keeps such a message for ever. A worker may hold one for each of its processes, so it takes no more,
    reads nothing, and never finds that its connection is lost. Here the worker forgets the message. Redis still has it
    among the unacknowledged, and delivers it again after the visibility timeout.
    """

    _quick_ack: Any  # of kombu's virtual transports: forgets a message

    def ack(self, delivery_tag: Any) -> None:
        """Acknowledge a message. Raises what Redis raises; the message is released in any case."""
        try:
            super().ack(delivery_tag)
        finally:
            self._quick_ack(delivery_tag)

    def reject(self, delivery_tag: Any, requeue: bool = False) -> None:  # noqa: FBT002  # kombu's own
        """Have a message delivered again, or never. Raises as `ack` does."""
        try:
            super().reject(delivery_tag, requeue=requeue)
        finally:
            self._quick_ack(delivery_tag)
