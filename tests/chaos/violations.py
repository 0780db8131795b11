"""What can be wrong after a run."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Wrong(StrEnum):
    """How the promise was broken."""

    LOST = "lost"  # a 202 without a job
    STUCK = "stuck"  # a job that does not end
    DOUBLED = "doubled"  # an effect that happened twice
    SPOILED = "spoiled"  # the wrong end, or the wrong bytes
    OVERSPENT = "overspent"  # more runs or dispatches than the budget
    REFUSED = "refused"  # an answer that a well-formed request should not get
    DELAYED = "delayed"  # others waited too long for poison
    LEFT_OVER = "left over"  # blobs, messages, leases, processes


@dataclass(frozen=True)
class Violation:
    """One broken invariant."""

    wrong: Wrong
    sentence: str
    job_id: str | None = None

    def __str__(self) -> str:
        return f"{self.wrong}: {self.sentence}" + (f" ({self.job_id})" if self.job_id else "")
