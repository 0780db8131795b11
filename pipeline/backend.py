"""The result backend: counts the parts of a chord, survives a Redis that is away, and waits on nobody."""

from __future__ import annotations

from typing import Any

from celery.backends.redis import RedisBackend, SentinelBackend

from pipeline.broker.transport import UNWRITABLE


class RetryingRedisBackend(RedisBackend):
    """Celery's Redis backend, less the subscriptions that nobody reads, plus retries where the stock one gives up.

    Stock, a chord part that ends while Redis is away loses its chord for ever, and each chord that a worker starts
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
        """Nothing was subscribed to."""
        return result

    def on_chord_part_return(
        self, request: Any, state: str, result: Any, propagate: bool | None = None, **kwargs: Any
    ) -> None:
        """Count one part of a chord, again and again while Redis is away."""

        def count() -> None:
            super(RetryingRedisBackend, self).on_chord_part_return(request, state, result, propagate, **kwargs)

        self.ensure(count, ())


class PipelineBackend(RetryingRedisBackend):
    """On one server."""


class SentinelPipelineBackend(RetryingRedisBackend, SentinelBackend):
    """On the master that sentinels name."""
