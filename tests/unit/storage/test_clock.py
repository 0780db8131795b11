"""A server's clock as a process measures it: within the bounds of each answer, whatever the wall clock does."""

from __future__ import annotations

from time import monotonic_ns, time_ns
from uuid import UUID

from storage.clock import MS, ServerClock, now_ms
from storage.job_ids import new_job_id

SECOND = 10**9
SERVER_NS = 1_000 * SECOND  # 1970: nowhere near our wall clock


def measured(server_ns: int = SERVER_NS) -> ServerClock:
    clock = ServerClock()
    clock.record(server_ns, resolution_ns=1, sent_ns=monotonic_ns())
    return clock


def test_a_clock_that_was_never_measured_is_the_wall_clock() -> None:
    clock = ServerClock()

    start, now, end = time_ns(), clock.now_ns(), time_ns()

    assert start <= now <= end
    assert clock.is_due


def test_a_measured_clock_goes_on_from_the_servers_time() -> None:
    start = monotonic_ns()

    clock = measured()

    assert SERVER_NS <= clock.now_ns() <= SERVER_NS + 1 + monotonic_ns() - start
    assert not clock.is_due


def test_a_rounded_time_may_be_the_later_one() -> None:
    start, clock = monotonic_ns(), ServerClock()

    clock.record(SERVER_NS, resolution_ns=MS, sent_ns=start)

    assert SERVER_NS <= clock.now_ns() <= SERVER_NS + MS + monotonic_ns() - start


def test_a_slow_answer_does_not_move_a_clock_that_it_agrees_with() -> None:
    start, clock = monotonic_ns(), measured()

    clock.record(SERVER_NS - 4 * SECOND, resolution_ns=1, sent_ns=monotonic_ns() - 10 * SECOND)

    assert SERVER_NS <= clock.now_ns() <= SERVER_NS + 1 + monotonic_ns() - start


def test_a_quick_answer_corrects_what_a_slow_one_said() -> None:
    clock = ServerClock()
    clock.record(SERVER_NS, resolution_ns=1, sent_ns=monotonic_ns() - 10 * SECOND)
    start = monotonic_ns()

    clock.record(SERVER_NS, resolution_ns=1, sent_ns=start)

    assert SERVER_NS <= clock.now_ns() <= SERVER_NS + 1 + monotonic_ns() - start


def test_a_clock_follows_a_server_that_was_set_back() -> None:
    start, clock = monotonic_ns(), measured()

    clock.record(SERVER_NS - 500 * SECOND, resolution_ns=1, sent_ns=monotonic_ns())

    assert clock.now_ns() <= SERVER_NS - 500 * SECOND + 1 + monotonic_ns() - start


def test_the_skew_of_a_wall_clock_that_is_ahead_is_positive() -> None:
    start, clock = time_ns(), measured(time_ns() - 120 * SECOND)

    assert clock.skew_seconds + (time_ns() - start) / SECOND >= 120
    assert clock.skew_seconds - (time_ns() - start) / SECOND <= 120


def test_an_id_begins_with_the_time_of_the_database() -> None:
    start, job_id, end = now_ms(), UUID(new_job_id()), now_ms()

    assert start <= job_id.int >> 80 <= end
    assert job_id.version == 7


def test_ids_sort_by_their_creation() -> None:
    job_ids = [new_job_id() for _ in range(1000)]

    assert job_ids == sorted(set(job_ids))


def test_a_step_is_remembered() -> None:
    clock = measured()
    clock.record(SERVER_NS + 50 * SECOND, resolution_ns=1, sent_ns=monotonic_ns())
    assert not clock.has_stepped_within(3600)

    clock.record(SERVER_NS + 3600 * SECOND, resolution_ns=1, sent_ns=monotonic_ns())

    assert clock.has_stepped_within(3600)
    assert not clock.has_stepped_within(0)


def test_the_first_measurement_is_no_step() -> None:
    assert not measured().has_stepped_within(3600)
