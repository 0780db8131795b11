"""The first action for a photo, according to its journal entry."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from .journal import JournalEntry


class Action(Enum):
    """The first action for a photo."""

    SEND = auto()
    FOLLOW = auto()
    """The job exists: wait for its end, and save its results."""
    RETRY = auto()
    """The job is dead: retry it, then follow it."""
    SKIP = auto()


@dataclass(frozen=True, kw_only=True)
class UploadOptions:
    """The options of a batch: wait for the jobs' ends, save the results, retry failures of earlier runs."""

    wait: bool
    save: bool
    retry_failed: bool

    @property
    def follows_jobs(self) -> bool:
        """Whether the command waits until the jobs have ended."""
        return self.wait or self.save


def first_action(entry: JournalEntry | None, options: UploadOptions, *, is_saved: bool) -> Action:
    """Return the first action for a photo with this journal entry. `is_saved`: all its saved files still exist."""
    if entry is None or entry.state == "sending":
        return Action.SEND
    if entry.state == "accepted":
        return Action.FOLLOW if options.follows_jobs else Action.SKIP
    if entry.state == "done":
        return Action.FOLLOW if options.save and not is_saved else Action.SKIP
    if not options.retry_failed:
        return Action.SKIP
    return Action.RETRY if entry.status == "dead" else Action.SEND
