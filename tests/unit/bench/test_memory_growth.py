"""Whether memory grows from job to job."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest

from tests.tools.bench.memory_growth import KIB, Growth, Reading, find_slope, measure_growth
from tests.tools.bench.sample import MIB


def test_the_slope_of_a_line_is_found_although_some_readings_are_far_off() -> None:
    readings = [Reading(jobs, 5 * KIB * jobs) for jobs in range(0, 200, 10)]
    readings[3] = Reading(30, 500 * MIB)
    readings[17] = Reading(170, 0)

    slope, least = find_slope(readings)

    assert slope == pytest.approx(5 * KIB)
    assert least == pytest.approx(5 * KIB)


def test_memory_that_grows_with_each_job_is_not_flat() -> None:
    growth = _measure([30 + 0.02 * jobs for jobs in range(0, 200, 10)])

    assert growth.kib_a_job == pytest.approx(0.02 * KIB, rel=0.01)
    assert growth.start == pytest.approx(30)
    assert growth.end == pytest.approx(33.6)
    assert not growth.is_flat


def test_images_that_are_kept_until_a_collection_are_not_flat() -> None:
    growth = _measure([30.0 + number % 7 * 10 for number in range(20)])

    assert growth.least_kib_a_job < 0
    assert not growth.is_flat


def test_memory_that_varies_is_flat() -> None:
    noise = Random(1)  # noqa: S311  the same readings every time

    assert _measure([30 + noise.uniform(-2, 2) for _ in range(20)]).is_flat


def test_memory_that_grows_until_all_is_imported_is_flat() -> None:
    assert _measure([30 + min(jobs, 80) / 20 for jobs in range(0, 200, 10)]).is_flat


def test_one_reading_beside_an_image_says_nothing() -> None:
    assert _measure([30.0] * 12 + [150.0] + [30.0] * 7).is_flat


def test_too_few_readings_are_an_error() -> None:
    with pytest.raises(RuntimeError, match="5 readings are too few"):
        _measure([30.0] * 5)


def _measure(mib: Sequence[float]) -> Growth:
    """Measure readings after 10 jobs each; the first one is also that before all of them."""
    readings = [Reading(10 * number, round(each * MIB)) for number, each in enumerate(mib)]
    return measure_growth(readings[0], readings)
