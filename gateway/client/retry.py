"""RetryPolicy: which failures are worth another attempt, after how long, and when to give up."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from .problem import Problem

RATE_LIMITED = 429
BUSY_STATUSES = frozenset({RATE_LIMITED, 503})
"""Nothing was done; a Retry-After says when."""
PROXY_ERROR_STATUSES = frozenset({502, 504})
"""A proxy's: what became of the request is not known."""
KEY_IN_USE = "idempotency_key_in_use"
"""An earlier attempt is still being received."""
NOT_SENT_ERRORS = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
INTERRUPTED_ERRORS = (httpx.NetworkError, httpx.TimeoutException, httpx.RemoteProtocolError)
JITTER_RATIO = 0.25
"""Of what a Retry-After asks for, so that clients which were refused together do not come back together."""

CallError = Problem | httpx.TransportError
RetryCallback = Callable[[CallError, float], None]


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """How long to go on, in seconds since the first failure of a call, and with what pauses; 0 is one attempt.

    Without a Retry-After, pauses double from `base` to `cap`, each cut by a random part of up to a half. `on_retry` is
    told of each failure that is going to be followed by another attempt, and of the pause before it.

    `rate_limit_seconds` is for 429 in place of `seconds`: such a gateway is there, and says when it takes more.
    """

    seconds: float = 30.0
    rate_limit_seconds: float | None = None
    base: float = 0.5
    cap: float = 15.0
    random: Callable[[], float] = random.random
    on_retry: RetryCallback | None = None

    def compute_delay_seconds(self, failures: int, retry_after_seconds: float | None) -> float:
        """Return how long to wait after so many failures, the last of which asked for some time."""
        if retry_after_seconds:
            return retry_after_seconds * (1 + JITTER_RATIO * self.random())
        return min(self.cap, self.base * 2.0 ** min(failures - 1, 30)) * (1 - self.random() / 2)


class RetryState:
    """The attempts of one call. A call that is not idempotent is repeated only if the last was surely not acted on."""

    def __init__(self, retry_policy: RetryPolicy, *, is_idempotent: bool) -> None:
        self._retry_policy = retry_policy
        self._is_idempotent = is_idempotent
        self._failures = 0
        self._failing_since: float | None = None
        self._unavailable_since: float | None = None

    def next_delay_seconds(self, failure: CallError, *, now: float) -> float | None:
        """Return the pause before the next attempt; None to give up."""
        if not self._is_retryable(failure):
            return None
        self._failures += 1
        pause = self._retry_policy.compute_delay_seconds(
            self._failures, failure.retry_after if isinstance(failure, Problem) else None
        )
        if now + pause > self._give_up_at(failure, now):
            return None
        if self._retry_policy.on_retry:
            self._retry_policy.on_retry(failure, pause)
        return pause

    def _give_up_at(self, failure: CallError, now: float) -> float:
        self._failing_since = now if self._failing_since is None else self._failing_since
        limit = self._retry_policy.rate_limit_seconds
        if limit is not None and isinstance(failure, Problem) and failure.status == RATE_LIMITED:
            self._unavailable_since = None  # it is there: whatever comes next begins anew
            return self._failing_since + limit
        self._unavailable_since = now if self._unavailable_since is None else self._unavailable_since
        return self._unavailable_since + self._retry_policy.seconds

    def _is_retryable(self, failure: CallError) -> bool:
        if isinstance(failure, Problem):
            if failure.status in BUSY_STATUSES or failure.code == KEY_IN_USE:
                return True
            return self._is_idempotent and failure.status in PROXY_ERROR_STATUSES
        return isinstance(failure, NOT_SENT_ERRORS) or (self._is_idempotent and isinstance(failure, INTERRUPTED_ERRORS))
