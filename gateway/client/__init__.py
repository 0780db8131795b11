"""The typed client of a Darkroom gateway: `Client` and `AsyncClient`, their errors, and `RetryPolicy`."""

from .client import AsyncClient, Client
from .job_errors import JobCancelled, JobDead, JobExpired, JobFailed, JobWithoutResult
from .problem import Problem
from .retry import RetryPolicy

__all__ = [
    "AsyncClient",
    "Client",
    "JobCancelled",
    "JobDead",
    "JobExpired",
    "JobFailed",
    "JobWithoutResult",
    "Problem",
    "RetryPolicy",
]
