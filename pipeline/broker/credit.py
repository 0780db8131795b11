"""A worker's credit, which is how many messages it may hold: it is given back with each, even when Redis is away."""

from __future__ import annotations

from typing import Any

from kombu.transport.redis import QoS


class Credit(QoS):
    """kombu's, but for a message that Redis could not be told of.

    Stock, a worker keeps such a message in hand for ever. It may hold one for each of its processes, so it takes no
    more, waits for nothing, and so never finds that its connection is lost. Here it forgets the message, which Redis
    still has among the unacknowledged: it is delivered again in its time.
    """

    _quick_ack: Any  # of kombu's virtual transports: forgets a message

    def ack(self, delivery_tag: Any) -> None:
        """Tell Redis that a message is done with. Raises what Redis raises, the credit given back all the same."""
        try:
            super().ack(delivery_tag)
        finally:
            self._quick_ack(delivery_tag)

    def reject(self, delivery_tag: Any, requeue: bool = False) -> None:  # noqa: FBT002  # kombu's own
        """Have Redis deliver a message again, or never. Raises as `ack` does."""
        try:
            super().reject(delivery_tag, requeue=requeue)
        finally:
            self._quick_ack(delivery_tag)
