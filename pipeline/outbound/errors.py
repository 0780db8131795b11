"""What keeps a request to another host from an answer. Each reason is a sentence that a client may read."""

from __future__ import annotations


class OutboundError(Exception):
    """There is no answer. The reason contains no resolved address and no secret."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class OutboundRefused(OutboundError):
    """The address is one that may not be connected to. Another try would be refused as well, unless names change."""


class OutboundTimeout(OutboundError):
    """The time was over before the answer was complete."""


class OutboundFailed(OutboundError):
    """The look-up, the connection, TLS or HTTP failed."""
