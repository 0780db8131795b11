"""Which failures the client retries, after which delay, and when it gives up."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx
import pytest

from gateway.client.problem import Problem, retry_after
from gateway.client.retry import CallError, RetryPolicy, RetryState

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


def steady(seconds: float = 100, jitter: float = 0.0) -> RetryPolicy:
    return RetryPolicy(seconds=seconds, base=1, cap=8, random=lambda: jitter)


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
@pytest.mark.parametrize("is_idempotent", [True, False])
def test_a_request_that_was_not_acted_on_is_always_retried(failure: CallError, is_idempotent: bool) -> None:
    assert RetryState(steady(), is_idempotent=is_idempotent).next_delay_seconds(failure, now=0) is not None


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
def test_a_request_that_may_have_been_acted_on_is_retried_only_if_idempotent(failure: CallError) -> None:
    assert RetryState(steady(), is_idempotent=True).next_delay_seconds(failure, now=0) is not None
    assert RetryState(steady(), is_idempotent=False).next_delay_seconds(failure, now=0) is None


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
def test_permanent_failures_are_not_retried(failure: CallError) -> None:
    assert RetryState(steady(), is_idempotent=True).next_delay_seconds(failure, now=0) is None


def test_delays_double_up_to_the_cap() -> None:
    attempts = RetryState(steady(), is_idempotent=True)

    pauses = [attempts.next_delay_seconds(httpx.ConnectError("refused"), now=0) for _ in range(6)]

    assert pauses == [1, 2, 4, 8, 8, 8]


def test_jitter_removes_at_most_half_of_a_delay() -> None:
    attempts = RetryState(steady(jitter=1.0), is_idempotent=True)

    assert attempts.next_delay_seconds(httpx.ConnectError("refused"), now=0) == 0.5


def test_the_delay_is_never_shorter_than_retry_after() -> None:
    retry_policy = steady(jitter=0.8)
    attempts = RetryState(retry_policy, is_idempotent=True)

    pause = attempts.next_delay_seconds(problem(503, retry_after=5), now=0)

    assert pause == pytest.approx(6)


def test_a_retry_after_of_zero_still_has_a_delay() -> None:
    assert RetryState(steady(), is_idempotent=True).next_delay_seconds(problem(503, retry_after=0), now=0) == 1


def test_the_time_limit_starts_with_the_first_failure() -> None:
    attempts = RetryState(steady(seconds=10), is_idempotent=True)

    assert attempts.next_delay_seconds(httpx.ReadTimeout("late"), now=1000) == 1
    assert attempts.next_delay_seconds(httpx.ReadTimeout("late"), now=1007) == 2
    assert attempts.next_delay_seconds(httpx.ReadTimeout("late"), now=1009) is None


def test_a_retry_after_beyond_the_time_limit_is_not_retried() -> None:
    assert (
        RetryState(steady(seconds=30), is_idempotent=True).next_delay_seconds(problem(429, retry_after=60), now=0)
        is None
    )


def test_a_rate_limit_may_have_a_longer_time_limit() -> None:
    attempts = RetryState(RetryPolicy(seconds=30, rate_limit_seconds=120), is_idempotent=True)

    assert attempts.next_delay_seconds(httpx.ReadError("reset"), now=0) is not None
    assert attempts.next_delay_seconds(problem(429, retry_after=40), now=20) is not None
    assert attempts.next_delay_seconds(httpx.ReadError("reset"), now=70) is not None
    assert attempts.next_delay_seconds(problem(503, retry_after=40), now=71) is None
    assert attempts.next_delay_seconds(problem(429, retry_after=60), now=71) is None


def test_a_key_in_use_is_outwaited_whatever_failed_before() -> None:
    attempts = RetryState(RetryPolicy(seconds=30, random=lambda: 0.0), is_idempotent=True)
    in_use = problem(409, "idempotency_key_in_use", retry_after=8)

    assert attempts.next_delay_seconds(httpx.ReadError("reset"), now=0) is not None
    assert attempts.next_delay_seconds(in_use, now=29) == 8
    assert attempts.next_delay_seconds(in_use, now=80) == 8
    assert attempts.next_delay_seconds(in_use, now=82) is None


def test_a_key_in_use_is_not_outwaited_for_ever() -> None:
    attempts = RetryState(RetryPolicy(seconds=30), is_idempotent=True)
    in_use = problem(409, "idempotency_key_in_use", retry_after=1)

    delays = [
        attempts.next_delay_seconds(failure, now=now)
        for now in range(0, 100, 5)
        for failure in (in_use, httpx.ReadError("reset"))
    ]

    assert None not in delays[:20]
    assert delays[26::2] == [None] * 7


def test_a_key_in_use_is_outwaited_as_long_as_other_failures_at_least() -> None:
    attempts = RetryState(RetryPolicy(seconds=300), is_idempotent=True)

    assert attempts.next_delay_seconds(problem(409, "idempotency_key_in_use"), now=0) is not None
    assert attempts.next_delay_seconds(problem(409, "idempotency_key_in_use", retry_after=1), now=290) is not None


@pytest.mark.parametrize("failure", [problem(503), problem(409, "idempotency_key_in_use")], ids=repr)
def test_a_time_limit_of_zero_means_one_attempt(failure: CallError) -> None:
    assert RetryState(steady(seconds=0), is_idempotent=True).next_delay_seconds(failure, now=0) is None


def test_on_retry_is_called_only_before_a_retry() -> None:
    notices: list[tuple[CallError, float]] = []
    retry_policy = RetryPolicy(
        seconds=2, base=1, cap=8, random=lambda: 0.0, on_retry=lambda *notice: notices.append(notice)
    )
    attempts = RetryState(retry_policy, is_idempotent=True)
    failure = problem(503)

    attempts.next_delay_seconds(failure, now=0)
    attempts.next_delay_seconds(failure, now=1)
    attempts.next_delay_seconds(problem(404), now=1)

    assert notices == [(failure, 1)]


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
        ("9" * 5000, float("inf")),
        ("Mon, 01 Jan 99999999999 00:00:00 GMT", None),
        ("Mon, 01 Jan 2024 00:00:00 +99999999999999", None),
        ("\xff", None),
    ],
)
def test_retry_after_is_read_in_both_its_forms(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, now=NOW) == seconds
