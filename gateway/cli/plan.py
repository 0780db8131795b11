"""The plan for one photo: what is left to do, by what the journal knows of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from .journal import JournalEntry


class Action(Enum):
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
    def follows_jobs(self) -> bool:
        """Whether jobs are followed to their ends."""
        return self.wait or self.save


def first_action(entry: JournalEntry | None, options: UploadOptions, *, is_saved: bool) -> Action:
    """Return where to begin with a photo of which the journal knows this, and whether what was saved is still there."""
    if entry is None or entry.state == "sending":
        return Action.SEND
    if entry.state == "accepted":
        return Action.FOLLOW if options.follows_jobs else Action.SKIP
    if entry.state == "done":
        return Action.FOLLOW if options.save and not is_saved else Action.SKIP
    if not options.retry_failed:
        return Action.SKIP
    return Action.RETRY if entry.status == "dead" else Action.SEND
