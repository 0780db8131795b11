"""What becomes of an event: a job, or why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

from gateway.ingest.object_events import NoEvent, ObjectEvent
from pipeline.outbound_settings import SourceBucket
from pipeline.sources import InvalidKey, KeyNotAllowed, resolve_key
from storage.documents import Source

SCHEMES = ("s3", "s3a")
"""The schemes of sources that such events can be about."""


class Outcome(StrEnum):
    """What became of an event."""

    ACCEPTED = "accepted"
    REPEATED = "repeated"
    IGNORED = "ignored"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventOutcome:
    """What became of one event, for the answer and the log."""

    outcome: Outcome
    event: ObjectEvent | None = None
    task_id: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """An event that becomes a job: the object, and where a worker fetches it from."""

    event: ObjectEvent
    source: Source


def judge(
    found: ObjectEvent | NoEvent, *, sources: Sequence[SourceBucket], ignore: Sequence[str]
) -> Wanted | EventOutcome:
    """Return what an event becomes: a job if it is a new object below one of an owner's `sources`."""
    if isinstance(found, NoEvent):
        return EventOutcome(outcome=Outcome.IGNORED, reason=found.reason)
    if reason := _reason_to_ignore(found, ignore):
        return EventOutcome(outcome=Outcome.IGNORED, event=found, reason=reason)
    try:
        address = _resolve(found, sources)
    except InvalidKey as error:
        return EventOutcome(outcome=Outcome.IGNORED, event=found, reason=str(error))
    except KeyNotAllowed as error:
        return EventOutcome(outcome=Outcome.REFUSED, event=found, reason=str(error))
    return Wanted(found, Source(address=address, key=found.key, version=found.version))


def _reason_to_ignore(event: ObjectEvent, ignore: Sequence[str]) -> str | None:
    if not event.is_new:
        return "The event brings no new bytes."
    if event.is_folder:
        return "It is a folder."
    if event.size == 0:
        return "The object is empty."
    pattern = next((each for each in ignore if fnmatchcase(event.key, each)), None)
    return f"The pattern {pattern} excludes the key." if pattern else None


def _resolve(event: ObjectEvent, sources: Sequence[SourceBucket]) -> str:
    """Return the address of the object in the owner's sources. Raises `InvalidKey` and `KeyNotAllowed`."""
    for scheme in SCHEMES[1:]:
        try:
            return resolve_key(f"{scheme}://{event.bucket}/{event.key}", sources)
        except KeyNotAllowed:
            continue
    return resolve_key(f"{SCHEMES[0]}://{event.bucket}/{event.key}", sources)
