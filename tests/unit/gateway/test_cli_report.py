"""The output of the command: durations and sizes, timelines, the report of a batch, exit codes."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError
from rich.console import Console, RenderableType

from gateway.cli.errors import exit_code_of_problem
from gateway.cli.exit_codes import ExitCode
from gateway.cli.gateway_views import capabilities_view
from gateway.cli.humanize import format_bytes, format_duration, pluralize
from gateway.cli.report import PhotoOutcome, Result, exit_code_of_batch, format_summary
from gateway.cli.timeline import job_view
from gateway.client.models import Capabilities, Failure, JobStatus, StageStatus
from gateway.client.problem import Problem

TASK_ID = "01a20393-7178-742a-8954-a6e97ef610d9"
START = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


def render(what: RenderableType, width: int = 100) -> list[str]:
    console = Console(width=width, color_system=None)
    with console.capture() as captured:
        console.print(what)
    return [line.rstrip() for line in captured.get().splitlines()]


@pytest.mark.parametrize(
    ("count", "written"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (1_400_000, "1.3 MiB"),
        (1024 * 1024 - 1, "1 MiB"),
        (25 * 1024 * 1024, "25 MiB"),
        (3 * 1024**3, "3 GiB"),
    ],
)
def test_bytes_are_formatted_in_binary_units(count: int, written: str) -> None:
    assert format_bytes(count) == written


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def job(**changes: object) -> JobStatus:
    facts = {"task_id": TASK_ID, "kind": "previews", "status": "done", "created_at": START, "finished_at": after(10)}
    return JobStatus.model_validate(facts | changes)


def stage(state: str, *moments: float) -> StageStatus:
    names = ("queued_at", "started_at", "finished_at")
    return StageStatus.model_validate({"state": state, **dict(zip(names, map(after, moments), strict=False))})


def time_line(found: JobStatus, name: str) -> str:
    lines = render(job_view(found))
    start = next(line for line in lines if "timeline" in line).index("timeline")
    return next(line for line in lines if line.startswith(name))[start:]


@pytest.mark.parametrize(
    ("ms", "words"),
    [
        (None, ""),
        (0, "0 ms"),
        (999, "999 ms"),
        (1234, "1.23 s"),
        (45_600, "45.6 s"),
        (125_000, "2 m 05 s"),
        (12_000_000, "3 h 20 m"),
        (604_800_000, "7 d 0 h"),
    ],
)
def test_durations_are_formatted_in_the_unit_that_fits(ms: float | None, words: str) -> None:
    assert format_duration(ms) == words


def test_counts_have_a_singular_and_a_plural() -> None:
    assert (pluralize(1, "photo"), pluralize(1200, "photo")) == ("1 photo", "1,200 photos")


def test_a_timeline_shows_when_a_stage_waited_and_when_it_ran() -> None:
    found = job(stages={"validate": stage("done", 0, 5, 10), "normalize": stage("done", 5, 5, 10)})

    assert time_line(found, "validate") == "·" * 16 + "━" * 16
    assert time_line(found, "normalize") == " " * 16 + "━" * 16


def test_a_very_short_stage_is_visible_on_the_timeline() -> None:
    found = job(stages={"validate": stage("done", 0, 0, 0.001), "finalize": stage("done", 10, 10, 10)})

    assert time_line(found, "validate") == "━"
    assert time_line(found, "finalize").endswith("━")
    assert len(time_line(found, "finalize")) == 32


def test_the_timeline_of_a_reprocessed_job_begins_when_it_was_reprocessed() -> None:
    runs = {"validate": stage("done", 100, 105, 110)}

    found = job(stages=runs, reprocessed_at=after(100), finished_at=after(110), revision=1, generation=1)

    assert time_line(found, "validate") == "·" * 16 + "━" * 16
    assert "reprocessed 1 time" in render(job_view(found))[1]
    assert "dispatched again" not in render(job_view(found))[1]


def test_a_job_shows_its_preset_and_all_formats_of_a_rendition() -> None:
    main = {"format": "jpeg", "width": 400, "height": 400, "bytes": 9, "sha256": "ab"}
    variants = [main | {"format": name} for name in ("avif", "avif", "jpeg")]

    lines = render(job_view(job(preset={"name": "product"}, renditions={"card": main | {"variants": variants}})))

    assert "preset product" in lines[1]
    assert any("avif, jpeg" in line for line in lines)


def test_a_pending_stage_has_no_timeline() -> None:
    assert time_line(job(stages={"validate": stage("done", 0, 1, 10), "finalize": stage("pending")}), "finalize") == ""


def test_a_failure_is_shown_with_every_rule_that_was_broken() -> None:
    rules = [{"pointer": "/width", "message": "Too wide."}, {"pointer": "/height", "message": "Too high."}]
    failure = Failure(stage="validate", code="image_too_large", message="Too wide.", errors=rules)

    lines = render(job_view(job(status="failed", failure=failure)))

    assert "image_too_large  Too wide." in lines
    assert "  /height Too high." in lines
    assert not any("/width" in line for line in lines)


def test_an_id_is_never_truncated() -> None:
    assert any(TASK_ID in line for line in render(job_view(job()), width=60))


def test_a_job_shows_what_was_found_in_its_original() -> None:
    original = {
        "name": "beach.jpg", "width": 40, "height": 30, "bytes": 1024, "format": "avif", "bit_depth": 10, "frames": 3,
        "orientation": 6, "color_space": {"name": "P3\x1b", "source": "cicp"}, "has_alpha": True, "has_gps": True,
    }  # fmt: skip

    lines = render(job_view(job(original=original)))

    facts = "avif · 10-bit · P3\ufffd (cicp) · alpha · 3 frames · orientation 6 · with GPS position"
    assert lines[1].startswith("beach.jpg")
    assert lines[2] == facts


def test_an_original_of_an_older_gateway_takes_one_line() -> None:
    assert render(job_view(job(original={"name": "beach.jpg"})))[2] == ""


def test_control_characters_in_a_name_do_not_reach_the_terminal() -> None:
    name = "\x1b[2Jbeach\r\n.jpg"
    found = job(original={"name": name})

    lines = [*render(job_view(found)), str(PhotoOutcome(file=name, result=Result.DONE).format_line())]

    assert not any("\x1b" in line or "\r" in line for line in lines)
    assert sum("�[2Jbeach��.jpg" in line for line in lines) == 2


def test_a_placeholder_is_shown_without_what_a_terminal_would_execute() -> None:
    found = {"thumbhash": "3OcR\x1b[2J", "blurhash": "LEHV6n", "color": "#7f6a52"}

    lines = render(job_view(job(placeholder=found)))
    odd = render(job_view(job(placeholder=found | {"color": "blink red"})))

    assert [line.split() for line in lines[-3:]] == [
        ["color", "██", "#7f6a52"],
        ["thumbhash", "3OcR\N{REPLACEMENT CHARACTER}[2J"],
        ["blurhash", "LEHV6n"],
    ]
    assert not any("blink" in line for line in odd)


NUMBERS = [10**400, -(10**400), 10**18, 2**53, -(2**53), float("nan"), float("inf")]
TIMES = ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2020-01-01T00:00:00", "1970-01-01T00:00:00Z", 1e18]


@pytest.mark.parametrize("value", [*NUMBERS, *TIMES], ids=lambda value: str(value)[:30])
def test_a_job_that_cannot_be_shown_is_refused(value: object) -> None:
    rendition = {"format": "jpeg", "width": 1, "height": 1, "bytes": value, "sha256": ""}
    times = dict.fromkeys(("queued_at", "started_at", "finished_at"), value)
    for changes in (
        {"progress": value},
        {"generation": value},
        {"created_at": value, "finished_at": value},
        {"created_at": value, "finished_at": None, "status": "processing"},
        {"original": {"bytes": value, "width": value, "height": value}},
        {"stages": {"small": {"state": "done", "attempts": value}}},
        {"stages": {"small": {"state": "done", "run_ms": value}}},
        {"stages": {"small": {"state": "done"} | times}},
        {"renditions": {"small": rendition}},
    ):
        with suppress(ValidationError):
            render(job_view(job(**changes)))


def outcome(result: Result, *, skipped: bool = False) -> PhotoOutcome:
    return PhotoOutcome(file="a.jpg", result=result, skipped=skipped, task_id="an-id")


@pytest.mark.parametrize(
    ("results", "status"),
    [
        ([], ExitCode.OK),
        ([Result.DONE, Result.ACCEPTED], ExitCode.OK),
        ([Result.DONE, Result.FAILED], ExitCode.JOB_FAILED),
        ([Result.REFUSED, Result.DONE], ExitCode.REFUSED),
        ([Result.UNUSABLE], ExitCode.USAGE),
        ([Result.REFUSED, Result.FAILED], ExitCode.JOB_FAILED),
        ([Result.REFUSED, Result.UNAVAILABLE, Result.FAILED], ExitCode.UNAVAILABLE),
    ],
)
def test_the_most_important_result_decides_the_exit_code_of_a_batch(results: list[Result], status: ExitCode) -> None:
    assert exit_code_of_batch([outcome(result) for result in results], is_complete=True) is status


def test_an_incomplete_batch_counts_as_unavailable() -> None:
    assert exit_code_of_batch([outcome(Result.DONE)], is_complete=False) is ExitCode.UNAVAILABLE


def test_a_failure_of_an_earlier_run_counts_in_the_exit_code() -> None:
    assert exit_code_of_batch([outcome(Result.FAILED, skipped=True)], is_complete=True) is ExitCode.JOB_FAILED


@pytest.mark.parametrize(
    ("problem", "status"),
    [
        (Problem(404, "job_not_found", ""), ExitCode.REFUSED),
        (Problem(401, "unauthorized", ""), ExitCode.REFUSED),
        (Problem(409, "job_failed", ""), ExitCode.JOB_FAILED),
        (Problem(409, "idempotency_key_in_use", ""), ExitCode.UNAVAILABLE),
        (Problem(429, "rate_limited", ""), ExitCode.UNAVAILABLE),
        (Problem(500, "internal_error", ""), ExitCode.UNAVAILABLE),
        (Problem(503, "overloaded", ""), ExitCode.UNAVAILABLE),
        (Problem(200, "unreadable_answer", ""), ExitCode.UNAVAILABLE),
    ],
)
def test_each_problem_has_its_exit_code(problem: Problem, status: ExitCode) -> None:
    assert exit_code_of_problem(problem) is status


def test_earlier_failures_are_printed_and_earlier_successes_are_not() -> None:
    failed = PhotoOutcome(file="b.jpg", result=Result.FAILED, skipped=True, code="image_corrupt", message="Damaged.")

    assert outcome(Result.DONE, skipped=True).format_line() is None
    assert str(failed.format_line()) == "✗ b.jpg  image_corrupt (in an earlier run)  Damaged."


def test_the_summary_counts_new_skipped_and_remaining_photos() -> None:
    outcomes = [
        *[outcome(Result.DONE)] * 2,
        outcome(Result.REFUSED),
        *[outcome(Result.DONE, skipped=True)] * 3,
        outcome(Result.FAILED, skipped=True),
    ]

    assert str(format_summary(outcomes, photos=9, ms=1500)) == (
        "9 photos: 2 done, 1 refused, 3 skipped (done in an earlier run), 1 skipped (failed in an earlier run), "
        "2 remaining · 1.50 s"
    )


def test_capabilities_list_presets_steps_and_the_limits_on_them() -> None:
    answer = Capabilities(presets=["default", "product"], steps=["blur"], preset_limits={"asset_bytes": 2048})

    lines = render(capabilities_view(answer))

    assert any(line.split() == ["presets", "default,", "product"] for line in lines)
    assert any(line.split() == ["steps", "blur"] for line in lines)
    assert any("asset bytes: 2 KiB" in line for line in lines)


def test_capabilities_of_an_older_gateway_have_no_presets() -> None:
    assert not any("preset" in line for line in render(capabilities_view(Capabilities())))
