"""Patience: which failures are worth another attempt, after how long, and when to give up."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from gateway.client.problem import Problem

RATE_LIMITED = 429
BUSY = frozenset({RATE_LIMITED, 503})
"""Nothing was done; a Retry-After says when."""
BETWEEN = frozenset({502, 504})
"""A proxy's: what became of the request is not known."""
KEY_IN_USE = "idempotency_key_in_use"
"""An earlier attempt is still being received."""
UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
BROKEN_OFF = (httpx.NetworkError, httpx.TimeoutException, httpx.RemoteProtocolError)
SPREAD = 0.25
"""Of what a Retry-After asks for, so that clients which were refused together do not come back together."""

Failure = Problem | httpx.TransportError
Notice = Callable[[Failure, float], None]


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long to go on, in seconds since the first failure of a call, and with what pauses; 0 is one attempt.

    Without a Retry-After, pauses double from `base` to `cap`, each cut by a random part of up to a half. `notice` is
    told of each failure that is going to be followed by another attempt, and of the pause before it.

    `rate_limit_seconds` is for 429 in place of `seconds`: such a gateway is there, and says when it takes more.
    """

    seconds: float = 30.0
    rate_limit_seconds: float | None = None
    base: float = 0.5
    cap: float = 15.0
    random: Callable[[], float] = random.random
    notice: Notice | None = None

    def pause(self, failures: int, asked: float | None) -> float:
        """Return how long to wait after so many failures, the last of which asked for some time."""
        if asked:
            return asked * (1 + SPREAD * self.random())
        return min(self.cap, self.base * 2.0 ** min(failures - 1, 30)) * (1 - self.random() / 2)


class Attempts:
    """The attempts of one call. One that is not `repeatable` is made again only if the last was surely not acted on."""

    def __init__(self, patience: Patience, *, repeatable: bool) -> None:
        self._patience = patience
        self._repeatable = repeatable
        self._failures = 0
        self._failing_since: float | None = None
        self._away_since: float | None = None

    def pause_after(self, failure: Failure, *, now: float) -> float | None:
        """Return the pause before the next attempt; None to give up."""
        if not self._is_worth_another(failure):
            return None
        self._failures += 1
        pause = self._patience.pause(self._failures, failure.retry_after if isinstance(failure, Problem) else None)
        if now + pause > self._give_up_at(failure, now):
            return None
        if self._patience.notice:
            self._patience.notice(failure, pause)
        return pause

    def _give_up_at(self, failure: Failure, now: float) -> float:
        self._failing_since = now if self._failing_since is None else self._failing_since
        limit = self._patience.rate_limit_seconds
        if limit is not None and isinstance(failure, Problem) and failure.status == RATE_LIMITED:
            self._away_since = None  # it is there: whatever comes next begins anew
            return self._failing_since + limit
        self._away_since = now if self._away_since is None else self._away_since
        return self._away_since + self._patience.seconds

    def _is_worth_another(self, failure: Failure) -> bool:
        if isinstance(failure, Problem):
            if failure.status in BUSY or failure.code == KEY_IN_USE:
                return True
            return self._repeatable and failure.status in BETWEEN
        return isinstance(failure, UNSENT) or (self._repeatable and isinstance(failure, BROKEN_OFF))
