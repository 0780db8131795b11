"""When a delivery that has failed is tried again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.outbound_settings import WebhookSettings
from pipeline.webhooks.schedule import MAX_RETRY_AFTER_MS, next_wait_ms, parse_retry_after

SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
WAITS = WebhookSettings().retry_waits
NOW_MS = 1_800_000_000_000
DAY_MS = 24 * HOUR


def test_an_event_is_tried_ten_times_in_three_days() -> None:
    waits = [next_wait_ms(tries, WAITS, draw=lambda: 0) for tries in range(1, 11)]

    hours = [2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR]
    assert waits == [5 * SECOND, 5 * MINUTE, 30 * MINUTE, *hours, None]


@given(tries=st.integers(1, 9), share=st.floats(0, 1))
def test_a_wait_is_up_to_a_tenth_longer(tries: int, share: float) -> None:
    least = next_wait_ms(tries, WAITS, draw=lambda: 0) or 0

    assert least <= (next_wait_ms(tries, WAITS, draw=lambda: share) or 0) <= least * 1.1


@pytest.mark.parametrize(("retry_after_ms", "expected"), [(0, 5), (4, 5), (6, 6), (86_400, 86_400)])
def test_what_an_endpoint_asks_for_counts_if_it_is_longer(retry_after_ms: int, expected: int) -> None:
    wait_ms = next_wait_ms(1, WAITS, retry_after_ms=retry_after_ms * SECOND, draw=lambda: 0)

    assert wait_ms == expected * SECOND


def test_there_is_no_try_after_the_last_one_whatever_an_endpoint_asks_for() -> None:
    assert next_wait_ms(1, (), retry_after_ms=SECOND) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, 0),
        ("", 0),
        ("120", 120 * SECOND),
        (" 7 ", 7 * SECOND),
        ("86401", DAY_MS),
        ("9" * 5000, DAY_MS),
        ("-5", 0),
        ("1.5", 0),
        ("\u0663", 0),
        ("soon", 0),
        ("Fri, 15 Jan 2027 08:01:00 GMT", MINUTE),
        ("Fri, 15 Jan 2027 08:01:00 -0000", MINUTE),
        ("Fri, 15 Jan 2027 07:59:00 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", DAY_MS),
        ("Fri, 99 Jan 2027 08:01:00 GMT", 0),
        ("120, 240", 0),
    ],
)
def test_an_endpoint_asks_in_seconds_or_for_a_date(value: str | None, expected: int) -> None:
    assert parse_retry_after(value, now_ms=NOW_MS) == expected


@given(value=st.text(max_size=40))
def test_nothing_that_an_endpoint_sends_is_an_error(value: str) -> None:
    assert 0 <= parse_retry_after(value, now_ms=NOW_MS) <= MAX_RETRY_AFTER_MS
