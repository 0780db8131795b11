"""kombu's QoS for Redis, which counts the messages that a worker holds, changed so that none is held forever."""

from __future__ import annotations

from typing import Any

from kombu.transport.redis import QoS


class ReleasingQoS(QoS):
    """Releases a message whose acknowledgement did not reach Redis.

    kombu's own class holds such a message forever. A worker may hold one message for each of its processes, so it then
    receives no more, reads nothing, and does not notice that its connection is lost. Here the worker drops the message.
    Redis still has it as unacknowledged, and delivers it again after the visibility timeout.
    """

    _quick_ack: Any  # method of kombu's virtual transports that drops a message

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
