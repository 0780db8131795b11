"""Models of the gateway's answers about bulk actions."""

from __future__ import annotations

from pydantic import Field

from .models import Answer, Integer, TaskId, Time

ENDED = frozenset({"done", "cancelled"})


class BulkLinks(Answer):
    """Paths of a bulk action on the gateway."""

    status: str = ""


class BulkFailure(Answer):
    """A job that the action is not possible for, with a code and a sentence."""

    task_id: str
    code: str
    message: str = ""


class BulkAccepted(Answer):
    """The answer to a bulk action. `total` is how many jobs it will look at; None if counting took too long."""

    bulk_id: TaskId
    status: str
    total: Integer | None = None
    links: BulkLinks = BulkLinks()


class BulkStatus(BulkAccepted):
    """A bulk action, and how far it has come.

    `matched` jobs were looked at so far. Of these, it was carried out on `done`; `skipped` needed nothing; for `failed`
    it is not possible. In a dry run, `done` is how many it would be carried out on. `failures` are the first ones.
    """

    action: str = ""
    preset: str | None = None
    dry_run: bool = False
    matched: Integer = 0
    done: Integer = 0
    skipped: Integer = 0
    failed: Integer = 0
    failed_by_code: dict[str, Integer] = Field(default_factory=dict)
    failures: list[BulkFailure] = Field(default_factory=list)
    created_at: Time | None = None
    updated_at: Time | None = None
    finished_at: Time | None = None

    @property
    def has_ended(self) -> bool:
        """Whether it goes on no more."""
        return self.status in ENDED
