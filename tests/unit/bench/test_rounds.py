"""How two systems compare, round by round."""

from __future__ import annotations

import pytest

from tests.tools.bench.rounds import compare, median_or_none, order, ratio


def test_the_ratio_is_the_median_of_the_rounds_not_the_ratio_of_the_medians() -> None:
    rounds = [
        {"darkroom": {"ms": 10.0}, "before": {"ms": 20.0}},
        {"darkroom": {"ms": 100.0}, "before": {"ms": 100.0}},
        {"darkroom": {"ms": 30.0}, "before": {"ms": 40.0}},
    ]

    found = compare(rounds, "darkroom", "before")["ms"]

    assert found.ratios == [0.5, 1.0, 0.75]
    assert (found.median, found.own_median, found.other_median) == (0.75, 30, 40)


def test_what_one_of_them_lacks_has_no_ratio() -> None:
    rounds = [{"darkroom": {"mongo": 5.0, "redis": 0.0}, "peer": {"redis": 0.0}}, {"darkroom": {"mongo": 7.0}}]

    found = compare(rounds, "darkroom", "peer")

    assert (found["mongo"].own, found["mongo"].other, found["mongo"].median) == ([5, 7], [None, None], None)
    assert (found["redis"].own, found["redis"].ratios) == ([0, None], [None, None])


@pytest.mark.parametrize(("own", "other", "expected"), [(1.0, 2.0, 0.5), (0.0, 2.0, 0), (1.0, 0.0, None)])
def test_nothing_is_divided_by_zero(own: float, other: float, expected: float | None) -> None:
    assert ratio(own, other) == expected


def test_the_median_is_of_what_is_there() -> None:
    assert median_or_none([None, 3.0, 1.0]) == 2
    assert median_or_none([None]) is None


def test_every_second_round_has_the_reverse_order() -> None:
    assert [order("ab", number) for number in range(3)] == [["a", "b"], ["b", "a"], ["a", "b"]]
