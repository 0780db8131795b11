"""The result backend: it counts the parts of a chord, retries during an outage of Redis and subscribes to nothing."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import structlog
from celery.backends import redis as stock
from celery.backends.redis import RedisBackend, SentinelBackend
from celery.canvas import maybe_signature
from celery.exceptions import ChordError

from pipeline.broker.direct_connection import DirectConnection
from pipeline.broker.redis_scripts import RedisScript
from pipeline.broker.transport import UNWRITABLE

_stock: Any = stock  # its types lack most of it
CLAIM_SECONDS = 10
"""How long the part that completes a chord may take to send its body, until another delivery of a part may send it."""
DONE_SECONDS = 300
"""How long a chord is remembered whose body is sent, as in Celery: late deliveries of its parts send it no more."""
COUNT = RedisScript(
    f"""
local function count()
{_stock.CHORD_PART_RETURN_LUA}
end
local counted = count()
if counted[1] ~= -1 and redis.call('GET', KEYS[6]) == ARGV[8] then
    counted[4] = 1
    counted[5] = redis.call('ZRANGE', KEYS[1], 0, -1)
end
return counted
"""
)
"""Celery's own script. The part that has claimed the body gets all results, also if it has claimed it before."""
CLEAN_UP = RedisScript(_stock.CHORD_CLEANUP_LUA)

log = structlog.get_logger("pipeline")


class RetryingRedisBackend(RedisBackend):
    """Celery's Redis backend without its unused subscriptions, and with retries where Celery's own gives up.

    In Celery's own, a chord is lost when one of its parts ends while Redis is down, and each chord that a worker starts
    leaves three pub/sub subscriptions behind. Counting a part twice is harmless since Celery 5.7.
    """

    app: Any
    chord_expires: Any
    get_key_for_group: Any
    _chord_result_expires: Any
    _chord_zset: Any
    _unpack_chord_result: Any

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

    def set_chord_size(self, group_id: str, chord_size: int) -> None:
        """Record how many parts a chord has, as Celery does, in one packet."""
        key = self.get_key_for_group(group_id)
        expiry = ("EX", self.chord_expires) if self.chord_expires else ()
        self.ensure(self._connection.execute, (("DEL", key + b".c"), ("SET", key + b".s", chord_size, *expiry)))

    def on_chord_part_return(
        self, request: Any, state: str, result: Any, propagate: bool | None = None, **kwargs: Any
    ) -> None:
        """Count one part of a chord, and send the body after the last one; retry while Redis is down.

        What is in Redis is what Celery's own puts there: other parts of the chord may be counted by an older version.
        A body that takes the results of the parts is left to Celery's own.
        """
        if request.chord.get("immutable") and self._chord_zset:
            self.ensure(self._count_part, (request, state, result))
            return

        def count() -> None:
            super(RetryingRedisBackend, self).on_chord_part_return(request, state, result, propagate, **kwargs)

        self.ensure(count, ())

    def _count_part(self, request: Any, state: str, result: Any) -> None:
        if not (request.id and request.group):
            return
        index = "+inf" if request.group_index is None else request.group_index
        part = self.encode([1, request.id, state, self.encode_result(result, state)])
        key = self.get_key_for_group(request.group)
        parts, total, size, counted, claim = (key + suffix for suffix in (b".j", b".t", b".s", b".d", b".c"))
        expiries = self.chord_expires or 0, self._chord_result_expires, CLAIM_SECONDS
        answer = COUNT.run(
            self._connection,
            [parts, total, size, counted, key, claim],
            [request.id, part, 1, index, *expiries, request.id],
        )
        if answer[3] == 1:
            self._send_body(request, answer[4])
            CLEAN_UP.run(self._connection, [claim, parts, total, size, counted], [request.id, DONE_SECONDS])

    def _send_body(self, request: Any, parts: Sequence[bytes]) -> None:
        """Send the body of a chord or, when a part has failed or the broker refuses, its errbacks."""
        body: Any = maybe_signature(request.chord, app=self.app)
        try:
            for part in parts:
                self._unpack_chord_result(part, self.decode)  # raises for one that has failed
            self.app.amqp._retry_publish(body.apply_async)  # noqa: SLF001  # as Celery's own, which gives up less soon
        except Exception as error:  # noqa: BLE001  # as Celery's own
            log.warning("chord.failed", group=request.group, error=repr(error))
            cause = error if isinstance(error, ChordError) else ChordError(f"Callback error: {error!r}")
            self.chord_error_from_stack(body, cause)

    @cached_property
    def _connection(self) -> DirectConnection:
        return DirectConnection(self.client.connection_pool)


class PipelineBackend(RetryingRedisBackend):
    """The backend on one Redis server."""


class SentinelPipelineBackend(RetryingRedisBackend, SentinelBackend):
    """The backend on the master that sentinels name."""
