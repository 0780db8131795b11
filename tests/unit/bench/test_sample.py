"""What one run of load came to."""

from __future__ import annotations

from typing import Any

import pytest

from tests.tools.bench.bench import format_figure
from tests.tools.bench.sample import EndedJob, Sample, p95, stage_times
from tests.tools.bench.usage import Usage

SENT = 1_700_000_000.0


def _stage(wait: int | None, run: int | None, finished: str | None = None) -> dict[str, Any]:
    return {"queue_wait_ms": wait, "run_ms": run, "finished_at": finished}


def _job(seconds: str, **stages: dict[str, Any]) -> dict[str, Any]:
    return {"finished_at": f"2023-11-14T22:13:{seconds}+00:00", "stages": stages, "renditions": {"small": {}}}


def test_a_job_lasts_from_its_first_byte_to_its_end() -> None:
    assert EndedJob(SENT, _job("20.250")).ms == pytest.approx(250)
    assert EndedJob(SENT, {"done_ms": SENT * 1000 + 80}).ms == pytest.approx(80)


def test_the_first_preview_is_there_before_the_end() -> None:
    job = _job("21.000", small=_stage(1, 2, "2023-11-14T22:13:20.500+00:00"))

    assert EndedJob(SENT, job).first_preview_ms == pytest.approx(500)


def test_costs_are_told_for_one_job() -> None:
    used = Usage({"gateway": 30.0, "redis": 10.0}, {"gateway": 1024 * 1024}, 40, None, {"BRPOP": 8, "get": 0})
    sample = Sample("darkroom", 4.0, [EndedJob(SENT, _job("20.100")), EndedJob(SENT, _job("20.300"))], used, 1.0)

    found = sample.figures()

    assert (found["jobs_per_s"], found["p50_ms"], found["cpu_ms"]) == (0.5, 200, 20)
    assert found["cpu_ms_by_process"] == {"gateway": 15, "redis": 5}
    assert (found["redis_commands"], found["mongo_operations"]) == (20, None)
    assert found["redis_by_name"] == {"BRPOP": 4}


def test_what_a_mongo_does_not_tell_has_no_difference() -> None:
    before, after = Usage({}, {}, 1, None), Usage({}, {}, 3, 7)

    assert after.since(before).mongo_operations is None
    assert Usage({}, {}, 3, 9).since(after).mongo_operations == 2


def test_stages_that_never_ran_have_no_times() -> None:
    jobs = [_job("20.000", small=_stage(wait, 10), finalize=_stage(None, None)) for wait in (2, 4, 9)]

    assert stage_times(jobs) == {"small": {"wait_ms": 4, "run_ms": 10}}


def test_ninety_five_of_a_hundred_stay_under_p95() -> None:
    assert p95([float(value) for value in range(101)]) == pytest.approx(95)
    assert p95([3.0]) == 3


@pytest.mark.parametrize(
    ("value", "shown"), [(1.234, "1.23"), (12.34, "12.3"), (1234.5, "1,234"), (1234, "1,234"), (7, "7")]
)
def test_figures_have_three_digits_that_count(value: float, shown: str) -> None:
    assert format_figure(value) == shown
