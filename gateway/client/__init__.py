"""The typed client of a Darkroom gateway: `Client` and `AsyncClient`, their errors, `RetryPolicy`, and `image_url`."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .client import AsyncClient, Client
    from .image_links import image_url
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
    "image_url",
]
_MODULES = ("client", "image_links", "job_errors", "problem", "retry")

if not TYPE_CHECKING:  # a type checker would believe that every name exists

    def __getattr__(name: str) -> object:
        """Import a public name when it is first used: httpx and pydantic take a fifth of a second."""
        if name in __all__:
            for module in _MODULES:
                if value := vars(import_module(f"{__name__}.{module}")).get(name):
                    globals()[name] = value
                    return value
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
