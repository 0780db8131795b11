"""The texts and colours of the view, and that it fits the terminal."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest
from rich.console import Console

from deploy.admin.top import widgets
from deploy.admin.top.models import Dependency, FailedJob, Overview, Queue, Reading, Stage
from deploy.admin.top.view import render_view

RED, YELLOW, GREEN = "\x1b[1;31m", "\x1b[33m", "\x1b[32m"
NOW = datetime(2026, 11, 22, 14, 0, 30, tzinfo=UTC)
QUEUE = Queue(
    name="normalize",
    length=12_345,
    oldest_seconds=754,
    wait_p50=0.456,
    wait_p95=0.789,
    workers_up=2,
    workers=3,
    active=7,
    children=8,
    reserved=4,
    memory=3 * 2**30,
    children_lost=5,
)
WIDEST_QUEUE = replace(
    QUEUE,
    name="transform",
    oldest_seconds=3599,
    wait_p50=754,
    wait_p95=755,
    active=99,
    children=99,
    memory=1023.9 * 2**20,
)
STAGE = Stage(name="normalize", runs=87.6, p50=0.123, p95=4.5, outcomes={"done": 81_234, "retried": 11, "dead": 6})
BUSY = Overview(
    version="0.1.0",
    seconds=10,
    rates={"accepted": 98.7, "refused": 1.23, "done": 87.5, "failed": 2.34, "dead": 0.07, "cancelled": 0},
    jobs={"accepted": 432, "processing": 23_456, "done": 1_234_567, "failed": 8_901, "dead": 56, "cancelled": 0},
    oldest_seconds=4000,
    job_p50=0.75,
    job_p95=21.2,
    posts=99.9,
    post_p95=0.043,
    in_progress=17,
    server_errors=3,
    unacked_messages=14,
    sweeper_ran_at=(NOW - timedelta(seconds=47)).timestamp(),
    redispatched=2,
    blob_free_bytes=9 * 2**30,
    blob_size_bytes=250 * 2**30,
    queues=[QUEUE],
    stages=[STAGE],
    dependencies=[
        Dependency(name="mongo", is_up=True, seconds=0.011),
        Dependency(name="redis", is_up=False, seconds=2),
    ],
    down=[Reading(name="resize-2", url="http://10.0.0.8:9100/metrics", is_gateway=False, error="does not answer")],
)
FAILED = FailedJob(
    task_id="01a2039d-7b24-74b5-ba4e-92131ab0f05e",
    status="dead",
    at=NOW,
    stage="normalize",
    code="tried_too_often",
    message="The stage was tried four times, and four times its process was killed.",
)
QUIET = replace(
    BUSY,
    seconds=0,
    rates=dict.fromkeys(BUSY.rates, 0.0),
    jobs={},
    oldest_seconds=None,
    job_p50=None,
    job_p95=None,
    in_progress=None,
    server_errors=0,
    unacked_messages=None,
    sweeper_ran_at=None,
    blob_free_bytes=None,
    queues=[],
    stages=[],
    dependencies=[],
    down=[],
)


def _render(overview: Overview, failures: list[FailedJob] | str, width: int = 120, *, coloured: bool = False) -> str:
    output = io.StringIO()
    system: Literal["standard"] | None = "standard" if coloured else None
    console = Console(file=output, width=width, highlight=False, force_terminal=coloured, color_system=system)
    console.print(render_view(overview, failures, where="http://127.0.0.1:8001", now=NOW, width=width))
    return output.getvalue()


def _collapse_spaces(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("width", [80, 109, 110, 140, 200])
def test_nothing_is_cut_at_any_width(width: int) -> None:
    shown = _render(replace(BUSY, queues=[QUEUE, WIDEST_QUEUE]), [FAILED], width)

    assert max(map(len, shown.splitlines())) <= width
    assert "…" not in shown
    for figure in ("23,456", "1,234,567", "98.7", "12,345", "12 m 34 s", "456 ms", "789 ms", "2/3", "7/8", "3 GiB"):
        assert figure in shown
    for words in ("81,234 done", "11 retried", "6 dead", "redis is down", "room 9 GiB of 250 GiB", "5xx 3"):
        assert words in shown
    assert FAILED.task_id in shown
    assert FAILED.message in _collapse_spaces(shown)


@pytest.mark.parametrize("width", [80, 100, 140])
def test_columns_are_aligned(width: int) -> None:
    table = _render(replace(BUSY, queues=[QUEUE, replace(QUEUE, name="resize", length=0, memory=1)]), [], width)

    heading, *rows = [line for line in table.splitlines() if line.startswith(("queue ", "normalize  ", "resize  "))][:3]
    for column in ("waiting", "wait p95", "workers", "memory"):
        end = heading.index(column) + len(column)
        assert all(row[end - 1] != " " and row[end : end + 1] in {"", " "} for row in rows)


def test_the_view_says_that_nothing_is_measured_yet() -> None:
    shown = _render(QUIET, [])

    assert "measuring" in shown
    assert "latest failures\nnone" in "\n".join(line.rstrip() for line in shown.splitlines())


def test_unknown_failures_show_the_reason() -> None:
    assert "unknown: gateway answers 401 Unauthorized" in _render(BUSY, "gateway answers 401 Unauthorized")


def test_a_process_that_is_down_is_shown_at_the_top() -> None:
    lines = _render(BUSY, []).splitlines()

    assert lines[1].startswith("resize-2 is down: http://10.0.0.8:9100/metrics does not answer")


@pytest.mark.parametrize(
    ("colour", "text"),
    [
        (RED, "resize-2 is down:"),
        (RED, "2/3"),
        (RED, "56"),  # dead jobs
        (RED, "12,345"),  # messages, the first of which waits for minutes
        (RED, "6 dead"),
        (RED, "47.0 s ago"),
        (RED, "9 GiB"),
        (YELLOW, "8,901"),  # failed jobs
        (YELLOW, "11 retried"),
        (GREEN, "81,234 done"),
        (GREEN, "98.7"),
    ],
)
def test_red_means_act_yellow_means_look_and_green_means_well(colour: str, text: str) -> None:
    assert re.search(rf"{re.escape(colour)} *{text}", _render(BUSY, [FAILED], coloured=True))


@pytest.mark.parametrize(("value", "written"), [(None, "-"), (0.0123, "12 ms"), (75, "1 m 15 s")])
def test_times_come_in_seconds(value: float | None, written: str) -> None:
    assert widgets.format_seconds(value) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [(0, "0"), (0.001, "<0.01"), (0.1234, "0.12"), (9.996, "10.0"), (12.34, "12.3"), (1234.5, "1,234")],
)
def test_rates_are_short(value: float, written: str) -> None:
    assert widgets.format_rate(value) == written
