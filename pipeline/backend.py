"""The result backend: it counts the parts of a chord, retries during an outage of Redis and subscribes to nothing."""

from __future__ import annotations

from typing import Any

from celery.backends.redis import RedisBackend, SentinelBackend

from pipeline.broker.transport import UNWRITABLE


class RetryingRedisBackend(RedisBackend):
    """Celery's Redis backend without its unused subscriptions, and with retries where Celery's own gives up.

    In Celery's own, a chord is lost when one of its parts ends while Redis is down, and each chord that a worker starts
    leaves three pub/sub subscriptions behind. Counting a part twice is harmless since Celery 5.7.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.connection_errors = (*vars(self)["connection_errors"], *UNWRITABLE)

    def on_task_call(self, producer: Any, task_id: str) -> None:
        """Subscribe to nothing."""

    def add_pending_result(self, result: Any, weak: bool = False, **_: object) -> Any:  # noqa: ARG002, FBT002  # Celery's own
        """Subscribe to nothing."""
        return result

    def add_pending_results(self, results: Any, weak: bool = False) -> Any:  # noqa: ARG002, FBT002  # Celery's own
        """Subscribe to nothing."""
        return results

    def remove_pending_result(self, result: Any) -> Any:
        """Unsubscribe from nothing."""
        return result

    def on_chord_part_return(
        self, request: Any, state: str, result: Any, propagate: bool | None = None, **kwargs: Any
    ) -> None:
        """Count one part of a chord; retry while Redis is down."""

        def count() -> None:
            super(RetryingRedisBackend, self).on_chord_part_return(request, state, result, propagate, **kwargs)

        self.ensure(count, ())


class PipelineBackend(RetryingRedisBackend):
    """The backend on one Redis server."""


class SentinelPipelineBackend(RetryingRedisBackend, SentinelBackend):
    """The backend on the master that sentinels name."""
