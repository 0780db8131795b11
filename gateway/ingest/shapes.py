"""The shapes of bodies with events: which one a body has, and the events in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import structlog

from gateway.ingest.object_events import EventMalformed, EventsUnreadable, NoEvent, ObjectEvent
from gateway.ingest.s3_events import read_eventbridge, read_record
from gateway.ingest.seaweed_events import read_seaweed

MAX_EVENTS = 1000
"""Events in one body. AWS and MinIO send one."""
SNS_ADDRESS = re.compile(r"https://sns\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/[\x21-\x7e]*")
CONFIRMATIONS = ("SubscriptionConfirmation", "UnsubscribeConfirmation")
Found = ObjectEvent | NoEvent

log = structlog.get_logger("ingest")


def read_events(text: bytes | str) -> Sequence[Found]:
    """Return the events in a body, at most `MAX_EVENTS`. Raises `EventsUnreadable`."""
    found = [event for event, _ in zip(_read_body(_parse(text)), range(MAX_EVENTS + 1), strict=False)]
    if len(found) > MAX_EVENTS:
        raise EventsUnreadable(f"The body has more than {MAX_EVENTS} events.")
    return found


def _parse(text: bytes | str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise EventsUnreadable("The body is not JSON.") from None


def _read_body(body: Any, *, is_in_sns: bool = False) -> Iterator[Found]:
    match body:
        case {"Records": [*records]}:  # AWS, MinIO's webhook, Ceph
            yield from (_read(read_record, record) for record in records)
        case [*groups]:  # MinIO's Redis list: [{"Event": [record], "EventTime": "..."}]
            yield from _read_groups(groups)
        case {"Type": "Notification", "Message": str(message)} if not is_in_sns:
            yield from _read_body(_parse(message), is_in_sns=True)
        case {"Type": str(kind)} if kind in CONFIRMATIONS and not is_in_sns:
            _log_confirmation(body)
            yield NoEvent(f"{kind} of SNS: nothing here opens its SubscribeURL.")
        case {"Event": "s3:TestEvent"}:
            yield NoEvent("A test event of S3.")
        case {"detail-type": str(), "detail": {}}:
            yield _read(read_eventbridge, body)
        case {"key": str(), "event_type": str(), "message": {}}:
            yield _read(read_seaweed, body)
        case _:
            raise EventsUnreadable(
                "The body has no shape that is known: event notifications of S3 (Records), the same in an SNS "
                "envelope, EventBridge, or SeaweedFS."
            )


def _read_groups(groups: Sequence[Any]) -> Iterator[Found]:
    for group in groups:
        match group:
            case {"Event": [*records]}:
                yield from (_read(read_record, record) for record in records)
            case _:
                raise EventsUnreadable("The body is a list, but not one of groups of events, as MinIO sends it.")


def _read(read: Any, body: Any) -> Found:
    """Read one event; one that is malformed is none, as sending it again would not mend it."""
    try:
        event: ObjectEvent = read(body)
    except EventMalformed as error:
        return NoEvent(f"The event is malformed. {error}")
    return event


def _log_confirmation(body: dict[str, Any]) -> None:
    """Log what an operator needs to confirm a subscription. Opening an address that came from outside is not ours."""
    address, topic = body.get("SubscribeURL"), body.get("TopicArn")
    is_of_sns = isinstance(address, str) and SNS_ADDRESS.fullmatch(address)
    log.warning("ingest.unconfirmed", topic=str(topic)[:256], subscribe_url=address if is_of_sns else None)
