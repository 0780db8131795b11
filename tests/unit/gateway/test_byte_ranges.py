"""Byte ranges, by the examples and the rules of RFC 9110, section 14."""

from __future__ import annotations

import pytest

from gateway.byte_ranges import parse_range
from gateway.problems import RangeNotSatisfiable

SIZE = 100


@pytest.mark.parametrize(
    ("header", "span"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=0-99", (0, 100)),
        ("bytes=10-19", (10, 20)),
        ("bytes=99-99", (99, 100)),
        ("bytes=10-", (10, 100)),
        ("bytes=0-", (0, 100)),
        ("bytes=10-100", (10, 100)),
        ("bytes=10-999999", (10, 100)),
        ("bytes=-1", (99, 100)),
        ("bytes=-100", (0, 100)),
        ("bytes=-101", (0, 100)),
        (" bytes=0-9 ", (0, 10)),
    ],
)
def test_a_range_within_the_bytes_is_cut_to_them(header: str, span: tuple[int, int]) -> None:
    assert parse_range(header, SIZE) == span


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "bytes",
        "bytes=",
        f"bytes={'9' * 5000}-",
        "bytes=-",
        "bytes=a-b",
        "bytes=1",
        "bytes=1-2-3",
        "bytes=0-1,5-6",
        "bytes=-1-2",
        "bytes=1.5-2",
        "bytes=0x1-2",
        "bytes=٣-٤",
        "bytes=9-5",
        "items=0-1",
        "0-1",
    ],
)
def test_a_range_that_cannot_be_read_is_ignored(header: str | None) -> None:
    assert parse_range(header, SIZE) is None


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-100", "bytes=500-600", "bytes=-0"])
def test_a_range_outside_the_bytes_cannot_be_satisfied(header: str) -> None:
    with pytest.raises(RangeNotSatisfiable):
        parse_range(header, SIZE)


@pytest.mark.parametrize("header", ["bytes=0-", "bytes=0-0", "bytes=-1"])
def test_no_range_of_nothing_can_be_satisfied(header: str) -> None:
    with pytest.raises(RangeNotSatisfiable):
        parse_range(header, 0)


def test_a_range_that_cannot_be_satisfied_is_answered_with_the_size() -> None:
    with pytest.raises(RangeNotSatisfiable) as caught:
        parse_range("bytes=100-", SIZE)

    assert caught.value.headers == {"Content-Range": "bytes */100"}
