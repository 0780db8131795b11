"""What can be wrong after a run."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ViolationKind(StrEnum):
    """How the promise was broken."""

    LOST = "lost"  # a 202 without a job
    STUCK = "stuck"  # a job that does not end
    DUPLICATE_EFFECT = "doubled"  # an effect that happened twice
    WRONG_RESULT = "spoiled"  # the wrong end, or the wrong bytes
    BUDGET_EXCEEDED = "overspent"  # more runs or dispatches than the budget
    REFUSED = "refused"  # an answer that a well-formed request should not get
    DELAYED = "delayed"  # others waited too long for poison
    EVENT_LOST = "event lost"  # one that an endpoint wants and has never accepted
    OUT_OF_ORDER = "out of order"  # an event of a job before an earlier one
    FALSE_EVENT = "false event"  # one that has not happened, or is not as it must be
    ENDED = "ended"  # a process that was to go on
    LEFT_OVER = "left over"  # blobs, messages, leases, processes


@dataclass(frozen=True)
class Violation:
    """One broken invariant."""

    kind: ViolationKind
    sentence: str
    job_id: str | None = None

    def __str__(self) -> str:
        return f"{self.kind}: {self.sentence}" + (f" ({self.job_id})" if self.job_id else "")
