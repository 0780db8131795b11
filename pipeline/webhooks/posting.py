"""One try to deliver an event: the request, and what came of it. It records nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from time import monotonic
from typing import Protocol

import structlog

from pipeline.outbound.client import Answer
from pipeline.outbound.errors import OutboundError, OutboundRefused, OutboundTimeout
from pipeline.version import VERSION
from pipeline.webhooks.schedule import parse_retry_after
from pipeline.webhooks.signing import sign
from storage.clock import now_ms
from storage.webhooks import Delivery, Try

MAX_ANSWER_BYTES = 512
SUCCESS = range(200, 300)
DELIVERED, REJECTED, TIMEOUT, FAILED, REFUSED = "delivered", "rejected", "timeout", "failed", "refused"
OUTCOMES = (DELIVERED, REJECTED, TIMEOUT, FAILED, REFUSED)
"""Of a try: the last four failed, as the endpoint answered no 2xx, not in time, not at all, or may not be reached."""

log = structlog.get_logger("webhooks")


class Client(Protocol):
    """What sends requests: `OutboundClient`."""

    def post(
        self, url: str, content: bytes, headers: Mapping[str, str], *, seconds: float, max_answer_bytes: int
    ) -> Answer:
        """Send the content and return the answer, also if it is a redirect. Raises OutboundError."""


@dataclass(frozen=True, slots=True)
class PostResult:
    """What came of a try."""

    record: Try
    outcome: str
    retry_after_ms: int = 0
    """The wait that the endpoint asks for; 0 if it does not."""

    @property
    def is_gone(self) -> bool:
        """Whether the endpoint wants no more events."""
        return self.record.status == HTTPStatus.GONE


def post_delivery(
    client: Client, url: str, delivery: Delivery, secrets: Sequence[str], *, seconds: float
) -> PostResult:
    """Send a delivery once. Errors are part of the result."""
    at_ms, start = now_ms(), monotonic()

    def record(status: int | None = None, **fields: str) -> Try:
        return Try(at_ms=at_ms, duration_ms=int((monotonic() - start) * 1000), status=status, **fields)

    try:
        content = delivery.payload.encode()
        signed = sign(secrets, event_id=delivery.event_id, at_ms=at_ms, payload=delivery.payload)
        headers = {"content-type": "application/json", "user-agent": f"Darkroom/{VERSION}", **signed}
        answer = client.post(url, content, headers, seconds=seconds, max_answer_bytes=MAX_ANSWER_BYTES)
    except OutboundError as error:
        outcome = _name_error(error)
        return PostResult(record(error=outcome, detail=error.reason), outcome)
    except Exception:  # else one delivery would end each run of its endpoint
        log.exception("delivery.broken", webhook_id=delivery.endpoint_id, task_id=delivery.task_id)
        return PostResult(record(error=FAILED, detail="The event could not be sent."), FAILED)
    outcome = DELIVERED if answer.status in SUCCESS else REJECTED
    retry_after_ms = parse_retry_after(answer.headers.get("retry-after"), now_ms=now_ms())
    return PostResult(record(answer.status, answer=_read_text(answer.content)), outcome, retry_after_ms)


def _name_error(error: OutboundError) -> str:
    match error:
        case OutboundRefused():
            return REFUSED
        case OutboundTimeout():
            return TIMEOUT
        case _:
            return FAILED


def _read_text(content: bytes) -> str:
    """Return bytes of any kind as text without null characters: not every database takes them."""
    return content[:MAX_ANSWER_BYTES].decode(errors="replace").replace("\0", "\ufffd")
