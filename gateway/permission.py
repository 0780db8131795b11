"""What a request may do: everything that its owner may, or only what its token allows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from starlette.types import Scope as AsgiScope

from gateway.problems import FormatNotAllowed, PresetNotAllowed, TokenUsedUp
from gateway.recent_jobs import RecentJobs
from pipeline.presets.preset import DEFAULT, Preset
from pipeline.presets.registry import Presets
from stages.limits import Limits
from storage.documents import Job, Kind
from storage.errors import JobNotFound
from storage.jobs import Jobs
from storage.token_uses import TokenUses


class Scope(StrEnum):
    """The kinds of permissions. An API key has all of its owner's; a token or a signed link has one of the others."""

    ALL = "all"
    UPLOAD = "upload"
    READ = "read"
    LINK = "link"


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """What the caller may do, and for whom. AccessLog never logs it."""

    owner: str | None = None
    """The owner of the API key, or the `sub` of the token; None where no keys are set."""
    scope: Scope = Scope.ALL
    token_id: str | None = None
    """The `jti` of an upload token: it reads the jobs that it has made, and no others."""
    expires_ms: int | None = None
    """When the token or the link ends (epoch ms); None for an API key, and for a link without an end."""
    task_id: str | None = None
    """The only job that a view token reads."""
    rendition: str | None = None
    """The only rendition that a view token reads; None: all of the job."""
    max_bytes: int | None = None
    """The largest file that an upload token may send; None: the gateway's own limit."""
    formats: frozenset[str] | None = None
    """The formats of originals that an upload token may send; None: all."""
    presets: frozenset[str] | None = None
    """The presets that its uploads may have, and no operations; None: all."""
    uses: int | None = None
    """How many jobs an upload token may make; None: any number until it ends."""
    origin: str | None = None
    """The origin whose pages may use an upload token; None: any."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """What is copied into the jobs that an upload token makes, for the backend that made it."""

    async def get_job(self, jobs: Jobs | RecentJobs, task_id: str, *, rendition: str | None = None) -> Job:
        """Return a job, or one of its renditions' jobs, that the caller may read. Raises `JobNotFound` for others."""
        if self.scope is Scope.READ and (task_id != self.task_id or self.rendition not in {None, rendition}):
            raise JobNotFound(task_id)
        job = await jobs.get(task_id, owner=self.owner, token_id=self.token_id)
        if self.scope is Scope.UPLOAD and job.kind is Kind.IMAGE:  # its id can be computed by who knows its parent
            parent = await jobs.get(job.parent_id or "", owner=self.owner, token_id=self.token_id)
            if _preset_of(job) != _preset_of(parent):
                raise JobNotFound(task_id)
        return job

    def limits(self, limits: Limits) -> Limits:
        """Return the limits on an original that the caller sends."""
        if self.max_bytes is None:
            return limits
        return replace(limits, upload_bytes=min(limits.upload_bytes, self.max_bytes))

    def check_format(self, name: str) -> None:
        """Raise `FormatNotAllowed` for a format of an original, such as `jpeg`, that the token does not allow."""
        if self.formats is not None and name not in self.formats:
            allowed = ", ".join(sorted(self.formats))
            raise FormatNotAllowed(f"The token allows no file of the format {name}. Send one of: {allowed}.")

    def limit_presets(self, presets: Iterable[str] | None) -> Permission:
        """Return the permission with only those of its presets that are among these; None: with all of them."""
        if presets is None:
            return self
        allowed = frozenset(presets)
        return replace(self, presets=allowed if self.presets is None else allowed & self.presets)

    def list_presets(self, presets: Presets) -> list[Preset]:
        """Return those of the presets in force that the caller may use, sorted by name."""
        return [preset for preset in presets if self.presets is None or preset.name in self.presets]

    def choose_preset(self, name: str | None) -> str:
        """Return the preset of an upload that names this one, or none. Raises `PresetNotAllowed`.

        Without a name it is `default`, or the only one that is allowed.
        """
        if self.presets is None:
            return name or DEFAULT
        chosen = name or (min(self.presets) if len(self.presets) == 1 else DEFAULT)
        if chosen not in self.presets:
            raise PresetNotAllowed(f"The key or token does not allow the preset {chosen}. {self._allowed_presets}")
        return chosen

    def check_presets(self, names: Iterable[str] | None) -> None:
        """Raise `PresetNotAllowed` unless the caller may use all of these presets; None: those that it may use."""
        if self.presets is not None and (others := sorted(set(names or ()) - self.presets)):
            raise PresetNotAllowed(f"The key does not allow the preset {others[0]}. {self._allowed_presets}")

    def check_image(self, job: Job, preset: str) -> None:
        """Raise `PresetNotAllowed` for an image of a preset that the caller may not have.

        Tokens get those of the job's own preset, also by the id of the image's job: whoever gave one to a browser may
        show an original with a watermark only. A signed link names its preset.
        """
        if self.scope in {Scope.READ, Scope.UPLOAD} and (preset != _preset_of(job) or job.kind is not Kind.PREVIEWS):
            raise PresetNotAllowed("A token allows images of the preset that the job was uploaded with. Sign a link.")
        if self.presets is not None and preset not in self.presets:
            raise PresetNotAllowed(f"The key or link does not allow the preset {preset}.")

    def check_operation(self) -> None:
        """Raise `PresetNotAllowed` if only uploads are allowed, with some presets: operations make anything else."""
        if self.presets is not None:
            raise PresetNotAllowed(f"The key or token allows no operations, only uploads. {self._allowed_presets}")

    @property
    def _allowed_presets(self) -> str:
        names = ", ".join(sorted(self.presets or ()))
        return f"Upload with one of: {names}." if names else "It allows no preset: its limits exclude each other."

    async def check_uses(self, uses: TokenUses) -> None:
        """Raise `TokenUsedUp` if the token has made all its jobs. Before a body is read: `count_use` decides."""
        if self._use_key is not None and self.uses is not None and await uses.read(self._use_key) >= self.uses:
            raise self._used_up()

    async def count_use(self, uses: TokenUses, job_id: str) -> None:
        """Count a job that the token is about to make, or raise `TokenUsedUp`. The same job counts once."""
        if self._use_key is None or self.uses is None or self.expires_ms is None:
            return
        if not await uses.count(self._use_key, job_id=job_id, limit=self.uses, expires_ms=self.expires_ms):
            raise self._used_up()

    async def release_use(self, uses: TokenUses, job_id: str) -> None:
        """Give back the use of a job that does not exist any more, because its request is refused."""
        if self._use_key is not None and self.uses is not None:
            await uses.release(self._use_key, job_id=job_id)

    @property
    def _use_key(self) -> str | None:
        return None if self.token_id is None else f"{self.owner}:{self.token_id}"

    def _used_up(self) -> TokenUsedUp:
        return TokenUsedUp(f"The token has made {self.uses} of {self.uses} jobs. Ask for a new one where it came from.")


def _preset_of(job: Job) -> str:
    return job.operation.preset.name if job.operation.preset else DEFAULT


def permission_of(scope: AsgiScope) -> Permission:
    """Return the permission that the middleware `Authorization` has found for a request."""
    state: dict[str, Any] = scope.get("state", {})
    return state.get("permission") or Permission()
