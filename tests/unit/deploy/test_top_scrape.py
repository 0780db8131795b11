"""Scrapes and their differences, computed as Prometheus does."""

from __future__ import annotations

from math import inf

import pytest

from deploy.admin.top.scrape import Scrape, ScrapeDelta, quantile, quantiles, rate

COUNTERS = """\
# HELP runs_total Runs.
# TYPE runs_total counter
runs_total{{stage="small",outcome="done"}} {done}
runs_total{{stage="small",outcome="refused"}} {refused}
# TYPE process_start_time_seconds gauge
process_start_time_seconds {born}
"""
HISTOGRAM = """\
# TYPE wait_seconds histogram
wait_seconds_bucket{{queue="resize",le="0.1"}} {fast}
wait_seconds_bucket{{queue="resize",le="1.0"}} {all}
wait_seconds_bucket{{queue="resize",le="+Inf"}} {all}
wait_seconds_count{{queue="resize"}} {all}
wait_seconds_sum{{queue="resize"}} 1.5
"""


def _counted(at: float, done: float, refused: float = 0, born: float = 1.7e9) -> Scrape:
    return Scrape.parse(at, COUNTERS.format(done=done, refused=refused, born=born))


def _waited(at: float, fast: float, total: float) -> Scrape:
    return Scrape.parse(at, HISTOGRAM.format(fast=fast, all=total))


def test_a_scrape_is_read_by_name_and_labels() -> None:
    scrape = _counted(0, done=7, refused=2)

    assert scrape.value("runs_total", outcome="done") == 7
    assert scrape.value("runs_total", stage="small") == 9
    assert scrape.value("runs_total", stage="large") is None
    assert scrape.value("walks_total") is None


@pytest.mark.parametrize("text", ["<html></html>", "not found", '{"detail": "Not Found"}'])
def test_a_text_without_metrics_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # the message is the parser's
        Scrape.parse(0, text)


def test_a_rate_is_the_increase_divided_by_the_seconds() -> None:
    span = ScrapeDelta(_counted(100, done=10, refused=1), _counted(104, done=30, refused=3))

    assert rate([span], "runs_total", outcome="done") == 5
    assert rate([span], "runs_total") == 5.5


def test_rates_of_several_processes_are_summed_each_over_its_own_seconds() -> None:
    one = ScrapeDelta(_counted(0, done=0), _counted(2, done=4))
    other = ScrapeDelta(_counted(50, done=7), _counted(60, done=17))

    assert rate([one, other], "runs_total") == 3


def test_counters_of_a_restarted_process_start_at_zero() -> None:
    span = ScrapeDelta(_counted(0, done=100, born=1.7e9), _counted(10, done=120, born=1.8e9))

    assert span.increase("runs_total") == 120


def test_a_counter_that_has_fallen_starts_at_zero() -> None:
    assert ScrapeDelta(_counted(0, done=100), _counted(10, done=20)).increase("runs_total") == 20


def test_a_new_series_starts_at_zero() -> None:
    span = ScrapeDelta(Scrape(0, {"process_start_time_seconds": {frozenset(): 1.7e9}}), _counted(10, done=3))

    assert span.increase("runs_total") == 3


@pytest.mark.parametrize(
    ("rank", "buckets", "expected"),
    [
        (0.5, {1.0: 10, 2.0: 20, inf: 20}, 1.0),  # the last of the first bucket
        (0.25, {1.0: 10, 2.0: 20, inf: 20}, 0.5),  # buckets begin at 0
        (0.75, {1.0: 10, 2.0: 20, inf: 20}, 1.5),  # halfway through the second
        (0.95, {1.0: 0, 2.0: 0, 4.0: 8, inf: 8}, 3.9),  # empty buckets are skipped
        (0.95, {1.0: 1, 2.0: 1, inf: 8}, 2.0),  # above the last bound: that bound
        (0.5, {1.0: 0, inf: 0}, None),  # no observations
        (0.5, {inf: 3}, None),  # no bound at all
        (0.5, {}, None),
    ],
)
def test_a_quantile_is_interpolated_within_its_bucket(
    rank: float, buckets: dict[float, float], expected: float | None
) -> None:
    assert quantile(rank, buckets) == (None if expected is None else pytest.approx(expected))


def test_quantiles_cover_the_observations_between_the_scrapes_in_all_processes() -> None:
    one = ScrapeDelta(_waited(0, fast=1000, total=1000), _waited(9, fast=1000, total=1010))
    other = ScrapeDelta(_waited(0, fast=0, total=500), _waited(9, fast=10, total=510))

    assert quantiles([one, other], "wait_seconds", 0.5, 0.75, queue="resize") == pytest.approx([0.1, 0.55])
    assert quantiles([one, other], "wait_seconds", 0.5, queue="validate") == [None]
