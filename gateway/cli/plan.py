"""The plan for one photo: what is left to do, by what the journal knows of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from gateway.cli.journal import Entry


class Step(Enum):
    """What to do first."""

    SEND = auto()
    FOLLOW = auto()
    """Its job is there: wait for its end, and save what is to be saved."""
    RETRY = auto()
    """Its job is dead: have it tried again, then follow it."""
    SKIP = auto()


@dataclass(frozen=True, kw_only=True)
class UploadOptions:
    """What the caller wants beyond the sending: to wait for the end, to save the results, to try failures again."""

    wait: bool
    save: bool
    retry_failed: bool

    @property
    def follow(self) -> bool:
        """Whether jobs are followed to their ends."""
        return self.wait or self.save


def first_step(entry: Entry | None, options: UploadOptions, *, is_saved: bool) -> Step:
    """Return where to begin with a photo of which the journal knows this, and whether what was saved is still there."""
    if entry is None or entry.state == "sending":
        return Step.SEND
    if entry.state == "accepted":
        return Step.FOLLOW if options.follow else Step.SKIP
    if entry.state == "done":
        return Step.FOLLOW if options.save and not is_saved else Step.SKIP
    if not options.retry_failed:
        return Step.SKIP
    return Step.RETRY if entry.status == "dead" else Step.SEND
