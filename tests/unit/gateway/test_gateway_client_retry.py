"""Which failures the client tries again, after how long, and when it gives up."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx
import pytest

from gateway.client.problem import Problem, retry_after
from gateway.client.retry import Attempts, Failure, Patience

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


def steady(seconds: float = 100, jitter: float = 0.0) -> Patience:
    return Patience(seconds=seconds, base=1, cap=8, random=lambda: jitter)


def problem(status: int, code: str = "a_code", retry_after: float | None = None) -> Problem:
    return Problem(status, code, "A sentence.", retry_after=retry_after)


@pytest.mark.parametrize(
    "failure",
    [
        problem(429, "rate_limited"),
        problem(503, "overloaded"),
        problem(409, "idempotency_key_in_use"),
        httpx.ConnectError("refused"),
        httpx.ConnectTimeout("late"),
        httpx.PoolTimeout("late"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("repeatable", [True, False])
def test_what_was_surely_not_acted_on_is_always_tried_again(failure: Failure, repeatable: bool) -> None:
    assert Attempts(steady(), repeatable=repeatable).pause_after(failure, now=0) is not None


@pytest.mark.parametrize(
    "failure",
    [
        problem(502),
        problem(504),
        httpx.ReadTimeout("late"),
        httpx.ReadError("reset"),
        httpx.WriteError("broken pipe"),
        httpx.RemoteProtocolError("disconnected"),
    ],
    ids=repr,
)
def test_what_may_have_been_acted_on_is_tried_again_only_where_that_is_harmless(failure: Failure) -> None:
    assert Attempts(steady(), repeatable=True).pause_after(failure, now=0) is not None
    assert Attempts(steady(), repeatable=False).pause_after(failure, now=0) is None


@pytest.mark.parametrize(
    "failure",
    [
        problem(400),
        problem(401),
        problem(404),
        problem(409, "not_ready", retry_after=1),
        problem(413),
        problem(422),
        problem(500),
        httpx.LocalProtocolError("too much for its length"),
        httpx.UnsupportedProtocol("gopher"),
    ],
    ids=repr,
)
def test_what_would_fail_again_is_not_tried_again(failure: Failure) -> None:
    assert Attempts(steady(), repeatable=True).pause_after(failure, now=0) is None


def test_pauses_double_up_to_a_cap() -> None:
    attempts = Attempts(steady(), repeatable=True)

    pauses = [attempts.pause_after(httpx.ConnectError("refused"), now=0) for _ in range(6)]

    assert pauses == [1, 2, 4, 8, 8, 8]


def test_jitter_takes_up_to_a_half_of_a_pause() -> None:
    attempts = Attempts(steady(jitter=1.0), repeatable=True)

    assert attempts.pause_after(httpx.ConnectError("refused"), now=0) == 0.5


def test_retry_after_is_waited_for_and_never_undercut() -> None:
    patience = steady(jitter=0.8)
    attempts = Attempts(patience, repeatable=True)

    pause = attempts.pause_after(problem(503, retry_after=5), now=0)

    assert pause == pytest.approx(6)


def test_a_retry_after_of_nothing_still_leaves_a_pause() -> None:
    assert Attempts(steady(), repeatable=True).pause_after(problem(503, retry_after=0), now=0) == 1


def test_patience_counts_from_the_first_failure_however_long_the_call_took() -> None:
    attempts = Attempts(steady(seconds=10), repeatable=True)

    assert attempts.pause_after(httpx.ReadTimeout("late"), now=1000) == 1
    assert attempts.pause_after(httpx.ReadTimeout("late"), now=1007) == 2
    assert attempts.pause_after(httpx.ReadTimeout("late"), now=1009) is None


def test_a_retry_after_beyond_patience_is_not_waited_for() -> None:
    assert Attempts(steady(seconds=30), repeatable=True).pause_after(problem(429, retry_after=60), now=0) is None


def test_a_rate_limit_may_be_waited_for_longer_than_a_gateway_that_is_away() -> None:
    attempts = Attempts(Patience(seconds=30, rate_limit_seconds=120), repeatable=True)

    assert attempts.pause_after(httpx.ReadError("reset"), now=0) is not None
    assert attempts.pause_after(problem(429, retry_after=40), now=20) is not None
    assert attempts.pause_after(httpx.ReadError("reset"), now=70) is not None
    assert attempts.pause_after(problem(503, retry_after=40), now=71) is None
    assert attempts.pause_after(problem(429, retry_after=60), now=71) is None


def test_no_patience_is_one_attempt() -> None:
    assert Attempts(steady(seconds=0), repeatable=True).pause_after(problem(503), now=0) is None


def test_somebody_is_told_of_each_attempt_that_follows_and_of_no_other() -> None:
    told: list[tuple[Failure, float]] = []
    patience = Patience(seconds=2, base=1, cap=8, random=lambda: 0.0, notice=lambda *notice: told.append(notice))
    attempts = Attempts(patience, repeatable=True)
    failure = problem(503)

    attempts.pause_after(failure, now=0)
    attempts.pause_after(failure, now=1)
    attempts.pause_after(problem(404), now=1)

    assert told == [(failure, 1)]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("5", 5.0),
        (" 120 ", 120.0),
        ("Sun, 22 Nov 2026 12:00:30 GMT", 30.0),
        ("Sun, 22 Nov 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_read_in_both_its_forms(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, now=NOW) == seconds
