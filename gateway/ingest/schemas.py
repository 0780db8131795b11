"""The answer to events of buckets, and what the OpenAPI document says of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, Field

from gateway.ingest.outcomes import EventOutcome, Outcome
from gateway.ingest.shapes import MAX_EVENTS
from gateway.openapi.numbers import Count


class IngestedEvent(BaseModel):
    """What became of one event."""

    outcome: Outcome
    bucket: str | None = Field(description="null where the event is not of an object.", examples=["incoming"])
    key: str | None = Field(description="The key of the object, decoded.", examples=["shop/cat.jpg"])
    version: str | None = Field(description="The version that the bucket keeps; null where it keeps only one.")
    task_id: str | None = Field(description="The job of this version of the object; null if there is none.")
    reason: str | None = Field(description="Why there is no job, as a sentence; null if there is one.")

    @classmethod
    def of(cls, handled: EventOutcome) -> IngestedEvent:
        """Return how an answer shows an outcome."""
        event = handled.event
        return cls(
            outcome=handled.outcome,
            bucket=event and event.bucket,
            key=event and event.key,
            version=event and event.version,
            task_id=handled.task_id,
            reason=handled.reason,
        )


class Ingested(BaseModel):
    """What became of the events of a request. None of the outcomes is a reason to send the request again."""

    accepted: Count = Field(description="Events that became jobs.")
    repeated: Count = Field(description="Events of versions of objects that have a job already.")
    ignored: Count = Field(description="Events that are not of a new photo.")
    refused: Count = Field(description="Events of objects that the API key may not make jobs of.")
    events: list[IngestedEvent] = Field(description="Each event, in their order.")

    @classmethod
    def of(cls, outcomes: Sequence[EventOutcome]) -> Ingested:
        """Return the answer to a request."""
        counts = Counter(each.outcome for each in outcomes)
        return cls(
            accepted=counts[Outcome.ACCEPTED],
            repeated=counts[Outcome.REPEATED],
            ignored=counts[Outcome.IGNORED],
            refused=counts[Outcome.REFUSED],
            events=[IngestedEvent.of(each) for each in outcomes],
        )


_EXAMPLE = {
    "Records": [
        {
            "eventName": "ObjectCreated:Put",
            "eventTime": "2026-11-30T21:05:21.158Z",
            "s3": {
                "bucket": {"name": "incoming"},
                "object": {
                    "key": "shop/cat+1.jpg",
                    "size": 5000,
                    "eTag": "a6bb7bde3251ca2d810d32dadd9e8ae7",
                    "sequencer": "0061A54E51096C5B",
                },
            },
        }
    ]
}
REQUEST_BODY: dict[str, Any] = {
    "required": True,
    "description": f"Up to {MAX_EVENTS} events of objects, as AWS S3 (by SNS or EventBridge, too), MinIO, Ceph or "
    "SeaweedFS send them. The type of the content does not matter: SNS sends text.",
    "content": {"application/json": {"schema": {"type": "object"}, "example": _EXAMPLE}},
}
"""The body, which no model describes: each sender has its own shape."""
