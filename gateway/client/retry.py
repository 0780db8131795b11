"""RetryPolicy: which failures to retry, after which delay, and when to give up."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from .problem import Problem

RATE_LIMITED = 429
BUSY_STATUSES = frozenset({RATE_LIMITED, 503})
"""The gateway has not acted on the request; Retry-After says when to try again."""
PROXY_ERROR_STATUSES = frozenset({502, 504})
"""Answers of a proxy: the gateway may have acted on the request."""
KEY_IN_USE = "idempotency_key_in_use"
"""A gateway is still receiving an earlier attempt, or died while it did."""
KEY_IN_USE_SECONDS = 60.0
"""How long a call outwaits its own key: 30 s until a cut connection is noticed, 16 s of lease, and a rest."""
NOT_SENT_ERRORS = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
INTERRUPTED_ERRORS = (httpx.NetworkError, httpx.TimeoutException, httpx.RemoteProtocolError)
JITTER_RATIO = 0.25
"""The largest random extra, as a share of a Retry-After: so clients refused together do not return together."""

CallError = Problem | httpx.TransportError
RetryCallback = Callable[[CallError, float], None]


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """How long to retry a call, and with which delays. All times are in seconds.

    - `seconds`: give up this long after the first failure of the call. 0 means one attempt. While the call's
      Idempotency-Key is in use by an earlier attempt, it is KEY_IN_USE_SECONDS from the first such answer, or longer.
    - `rate_limit_seconds`: the same for 429 answers, by default `seconds`. A gateway that answers 429 is available, and
      says when it accepts more.
    - `base`, `cap`: without a Retry-After, delays double from `base` to `cap`. Each is cut by a random share, at most
      half of it.
    - `on_retry`: called before each retry with the failure and the delay.
    """

    seconds: float = 30.0
    rate_limit_seconds: float | None = None
    base: float = 0.5
    cap: float = 15.0
    random: Callable[[], float] = random.random
    on_retry: RetryCallback | None = None

    def compute_delay_seconds(self, failures: int, retry_after_seconds: float | None) -> float:
        """Return the delay after this many failures. `retry_after_seconds` is what the last one asked for, if any."""
        if retry_after_seconds:
            return retry_after_seconds * (1 + JITTER_RATIO * self.random())
        return min(self.cap, self.base * 2.0 ** min(failures - 1, 30)) * (1 - self.random() / 2)


class RetryState:
    """The retries of one call. A call that is not idempotent is retried only if the gateway has not acted on it."""

    def __init__(self, retry_policy: RetryPolicy, *, is_idempotent: bool) -> None:
        self._retry_policy = retry_policy
        self._is_idempotent = is_idempotent
        self._failures = 0
        self._failing_since: float | None = None
        self._key_in_use_since: float | None = None
        self._unavailable_since: float | None = None

    def next_delay_seconds(self, failure: CallError, *, now: float) -> float | None:
        """Return the delay before the next attempt; None to give up. `now` is a monotonic time in seconds."""
        if not self._is_retryable(failure):
            return None
        self._failures += 1
        delay = self._retry_policy.compute_delay_seconds(
            self._failures, failure.retry_after if isinstance(failure, Problem) else None
        )
        if now + delay > self._deadline(failure, now):
            return None
        if self._retry_policy.on_retry:
            self._retry_policy.on_retry(failure, delay)
        return delay

    def _deadline(self, failure: CallError, now: float) -> float:
        self._failing_since = now if self._failing_since is None else self._failing_since
        limit = self._retry_policy.rate_limit_seconds
        if limit is not None and isinstance(failure, Problem) and failure.status == RATE_LIMITED:
            self._unavailable_since = None  # the gateway is available: `seconds` starts again with the next failure
            return self._failing_since + limit
        if isinstance(failure, Problem) and failure.code == KEY_IN_USE and self._retry_policy.seconds:
            self._unavailable_since = None
            self._key_in_use_since = now if self._key_in_use_since is None else self._key_in_use_since
            return self._key_in_use_since + max(self._retry_policy.seconds, KEY_IN_USE_SECONDS)
        self._unavailable_since = now if self._unavailable_since is None else self._unavailable_since
        return self._unavailable_since + self._retry_policy.seconds

    def _is_retryable(self, failure: CallError) -> bool:
        if isinstance(failure, Problem):
            if failure.status in BUSY_STATUSES or failure.code == KEY_IN_USE:
                return True
            return self._is_idempotent and failure.status in PROXY_ERROR_STATUSES
        return isinstance(failure, NOT_SENT_ERRORS) or (self._is_idempotent and isinstance(failure, INTERRUPTED_ERRORS))
