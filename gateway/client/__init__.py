"""The typed client of a Darkroom gateway."""

from gateway.client.client import AsyncClient, Client
from gateway.client.job_errors import JobCancelled, JobDead, JobExpired, JobFailed, JobWithoutResult
from gateway.client.problem import Problem
from gateway.client.retry import RetryPolicy

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
