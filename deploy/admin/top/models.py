"""The models of `top`: readings of processes, and the overview computed from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from deploy.admin.top.scrape import Scrape, ScrapeDelta


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The state of one process: its latest scrape, the span up to it, or why it does not answer."""

    name: str
    url: str
    is_gateway: bool
    latest: Scrape | None = None  # remains while the process does not answer
    span: ScrapeDelta | None = None
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class Queue:
    """A queue and the workers that serve it. None means unknown."""

    name: str
    length: float | None
    oldest_seconds: float | None
    wait_p50: float | None
    wait_p95: float | None
    workers_up: int
    workers: int
    active: float
    children: float
    reserved: float
    memory: float
    children_lost: float


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A stage: its rate, its duration and its runs by outcome."""

    name: str
    runs: float  # a second
    p50: float | None
    p95: float | None
    outcomes: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class Dependency:
    """A store, as the gateways report it."""

    name: str
    is_up: bool
    seconds: float | None


@dataclass(frozen=True, kw_only=True)
class FailedJob:
    """A job that failed or is dead."""

    task_id: str
    status: str
    at: datetime
    stage: str
    code: str
    message: str

    @classmethod
    def from_api(cls, job: dict[str, Any]) -> FailedJob:
        """Read a job of GET /jobs."""
        failure = job["failure"] or {}
        return cls(
            task_id=job["task_id"],
            status=job["status"],
            at=datetime.fromisoformat(job["finished_at"] or job["created_at"]),
            stage=failure.get("stage") or "",
            code=failure.get("code", ""),
            message=failure.get("message", ""),
        )


@dataclass(frozen=True, kw_only=True)
class Overview:
    """Everything that the view shows."""

    version: str
    seconds: float  # of the span of the rates and quantiles
    rates: dict[str, float]  # jobs a second: accepted, refused and overview.ENDS
    jobs: dict[str, float]  # by state
    oldest_seconds: float | None  # age of the oldest unfinished job
    job_p50: float | None
    job_p95: float | None
    posts: float  # a second
    post_p95: float | None
    in_progress: float | None
    server_errors: float  # 5xx, in the span
    unacked_messages: float | None
    sweeper_ran_at: float | None  # epoch seconds
    redispatched: float  # in the span
    blob_free_bytes: float | None
    blob_size_bytes: float | None
    queues: list[Queue] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)
    dependencies: list[Dependency] = field(default_factory=list)
    down: list[Reading] = field(default_factory=list)
