"""How many processes a pool needs, by formula, and the simulation that checks the formula."""

from __future__ import annotations

import pytest

from tests.tools.bench.queueing import (
    Stage,
    capacity,
    count_nodes,
    erlang_c,
    mean_wait,
    offered_load,
    size_pool,
    square_root_staffing,
    stages_from_cpu_ms,
)
from tests.tools.bench.simulation import Simulation

JOBS = 20_000


def test_with_one_process_the_chance_to_wait_is_its_utilisation() -> None:
    assert erlang_c(1, 0.7) == pytest.approx(0.7)


def test_with_two_processes_half_busy_every_third_task_waits() -> None:
    assert erlang_c(2, 1.0) == pytest.approx(1 / 3)


def test_a_pool_that_cannot_keep_up_lets_every_task_wait_for_ever() -> None:
    stage = Stage(name="normalize", seconds=0.1)

    assert erlang_c(2, 2.0) == 1
    assert mean_wait(stage, 2, rate=20) == float("inf")


def test_tasks_that_come_together_wait_for_each_other() -> None:
    apart, together = Stage(name="resize", seconds=0.01), Stage(name="resize", seconds=0.01, tasks=3)

    assert mean_wait(together, 1, rate=10) > mean_wait(apart, 1, rate=30)


def test_the_pool_is_the_smallest_that_keeps_waits_short() -> None:
    stage = Stage(name="normalize", seconds=0.1)

    found = size_pool(stage, rate=20)

    assert found.load == pytest.approx(2.0)
    assert found.processes == 3
    assert found.wait <= stage.seconds < mean_wait(stage, found.processes - 1, rate=20)


def test_a_large_pool_keeps_something_for_a_burst() -> None:
    assert size_pool(Stage(name="normalize", seconds=0.1), rate=10_000).utilisation == pytest.approx(0.85, abs=0.001)


def test_a_stage_that_is_never_busy_still_has_a_process() -> None:
    assert size_pool(Stage(name="finalize", seconds=0.001), rate=0.01).processes == 1
    assert square_root_staffing(0.0) == 1


def test_spare_processes_grow_as_the_root_of_the_load() -> None:
    assert square_root_staffing(4.0) == 6
    assert square_root_staffing(10_000.0) == 10_100


def test_nodes_and_capacity_agree() -> None:
    rate = capacity(0.1, cores=2)

    assert rate == pytest.approx(14.0)
    assert count_nodes(0.1, rate * 0.99, cores=2) == 1
    assert count_nodes(0.1, rate * 10.5, cores=2) == 11


def test_stages_are_told_from_what_pools_used_for_a_job() -> None:
    found = stages_from_cpu_ms(
        {"normalize": 60.0, "resize": 30.0, "redis": 5.0}, {"validate": 1, "normalize": 1, "resize": 3}
    )

    assert found == [Stage(name="normalize", seconds=0.06), Stage(name="resize", seconds=0.01, tasks=3)]
    assert sum(offered_load(stage, 10) for stage in found) == pytest.approx(0.9)


@pytest.mark.parametrize(("utilisation", "tolerance"), [(0.5, 0.1), (0.7, 0.1), (0.9, 0.25)])  # queues drift when full
def test_simulated_waits_are_those_of_the_formula(utilisation: float, tolerance: float) -> None:
    stage = Stage(name="normalize", seconds=0.1)
    rate = 2 * utilisation / stage.seconds

    simulated = Simulation([stage], {"normalize": 2}).run(rate, JOBS)

    assert simulated["normalize"] == pytest.approx(mean_wait(stage, 2, rate), rel=tolerance)


def test_of_tasks_that_come_together_one_process_waits_as_the_formula_says_and_two_no_longer() -> None:
    stage = Stage(name="resize", seconds=0.02, tasks=3)

    one = Simulation([stage], {"resize": 1}).run(10, JOBS)["resize"]
    two = Simulation([stage], {"resize": 2}).run(20, JOBS)["resize"]

    assert one == pytest.approx(mean_wait(stage, 1, 10), rel=0.1)
    assert two <= mean_wait(stage, 2, 20)


def test_a_stage_begins_once_all_tasks_of_the_one_before_have_ended() -> None:
    wide, last = Stage(name="resize", seconds=0.01, tasks=3), Stage(name="finalize", seconds=0.001)

    waits = Simulation([wide, last], {"resize": 3, "finalize": 1}).run(1, 500)

    assert set(waits) == {"resize", "finalize"}
    assert waits["finalize"] < last.seconds
