"""What a request may do: everything that its owner may, or only what its token allows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from starlette.types import Scope as AsgiScope

from storage.documents import Job
from storage.errors import JobNotFound
from storage.jobs import Jobs


class Scope(StrEnum):
    """The kinds of permissions. An API key has all of its owner's; a token has one of the others."""

    ALL = "all"
    UPLOAD = "upload"
    READ = "read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """What the caller may do, and for whom. AccessLog never logs it."""

    owner: str | None = None
    """The owner of the API key, or the `sub` of the token; None where no keys are set."""
    scope: Scope = Scope.ALL
    token_id: str | None = None
    """The `jti` of an upload token: it reads the jobs that it has made, and no others."""
    expires_ms: int | None = None
    """When the token ends (epoch ms); None for an API key."""
    task_id: str | None = None
    """The only job that a view token reads."""
    rendition: str | None = None
    """The only rendition that a view token reads; None: all of the job."""
    max_bytes: int | None = None
    """The largest file that an upload token may send; None: the gateway's own limit."""
    formats: frozenset[str] | None = None
    """The formats of originals that an upload token may send; None: all."""
    uses: int | None = None
    """How many jobs an upload token may make; None: any number until it ends."""
    origin: str | None = None
    """The origin whose pages may use an upload token; None: any."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """What is copied into the jobs that an upload token makes, for the backend that minted it."""

    async def get_job(self, jobs: Jobs, task_id: str, *, rendition: str | None = None) -> Job:
        """Return a job, or one of its renditions' jobs, that the caller may read. Raises `JobNotFound` for others."""
        if self.scope is Scope.READ and (task_id != self.task_id or self.rendition not in {None, rendition}):
            raise JobNotFound(task_id)
        return await jobs.get(task_id, owner=self.owner, token_id=self.token_id)


def permission_of(scope: AsgiScope) -> Permission:
    """Return the permission that the middleware `Authorization` has found for a request."""
    state: dict[str, Any] = scope.get("state", {})
    return state.get("permission") or Permission(owner=state.get("owner"))
