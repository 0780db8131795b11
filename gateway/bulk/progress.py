"""The progress of a bulk action within one step: counted in memory, then recorded at once."""

from __future__ import annotations

from typing import Any

from gateway.problems import Problem
from storage.bulk_actions import MAX_FAILURES, BulkAction, BulkFailure


class Progress:
    """What a step adds to a bulk action."""

    def __init__(self, action: BulkAction) -> None:
        self._action = action
        self._counts = action.counts.model_copy(deep=True)
        self._failures = list(action.failures)
        self.outcomes = {"done": 0, "skipped": 0, "failed": 0}
        """What the step has counted."""

    def count_match(self) -> None:
        """Count a job that the action is for."""
        self._counts.matched += 1

    def count_done(self) -> None:
        """Count a job that the action was carried out on."""
        self._counts.done += 1
        self.outcomes["done"] += 1

    def count_skipped(self) -> None:
        """Count a job that needs nothing."""
        self._counts.skipped += 1
        self.outcomes["skipped"] += 1

    def count_failed(self, job_id: str, code: str, message: str) -> None:
        """Count a job that the action is not possible for."""
        self._counts.failed[code] = self._counts.failed.get(code, 0) + 1
        self.outcomes["failed"] += 1
        if len(self._failures) < MAX_FAILURES:
            self._failures.append(BulkFailure(task_id=job_id, code=code, message=message))

    def count_problem(self, job_id: str, problem: Problem) -> None:
        """Count a job that the action is not possible for, with the problem that a request for it would have."""
        self.count_failed(job_id, problem.code, problem.detail)

    def changes(self) -> dict[str, Any]:
        """Return the fields of the action that have changed."""
        return {"counts": self._counts, "failures": self._failures}
