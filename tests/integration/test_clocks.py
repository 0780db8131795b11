"""Machines whose clocks are two minutes ahead: leases go by the clock of the database, messages by that of Redis."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest

from deploy.local import processes
from deploy.local.ports import free_port
from deploy.local.stack import Stack
from tests.conftest import SHORT_TIMEOUTS
from tests.integration.api_helpers import submit_photo, wait_for_all, wait_until
from tests.integration.test_metrics import read
from tests.support.http_options import HTTP_CLIENT_OPTIONS
from tests.support.images import encode_image, photo
from tests.support.skewed_program import skew_command

SKEW_SECONDS = 120
TIMEOUTS = SHORT_TIMEOUTS | {  # shorter than the skew, and more than a busy machine takes
    "DARKROOM_WORK__SOFT_TIME_LIMIT": "30",
    "DARKROOM_WORK__TIME_LIMIT": "40",
    "DARKROOM_BROKER__VISIBILITY_TIMEOUT": "60",
    "DARKROOM_SWEEPER__ACCEPT_PATIENCE": "20",
    "DARKROOM_SWEEPER__PATIENCE": "20",
}
AHEAD = "normalize-ahead"
JOBS = 8


class SkewedStack(Stack):
    """A stack with a second worker for normalize, whose clock and that of the gateway are ahead."""

    def _processes(self, *, gateway: bool, workers: bool) -> list[processes.Process]:
        self._metrics_ports[AHEAD] = free_port()
        ahead = processes.worker(
            AHEAD, queues=["normalize"], concurrency=1, autostart=workers, metrics_port=self._metrics_ports[AHEAD]
        )
        return [
            replace(each, command=skew_command(each.command, seconds=SKEW_SECONDS))
            if each.name in {"gateway", AHEAD}
            else each
            for each in (*super()._processes(gateway=gateway, workers=workers), ahead)
        ]


@pytest.fixture(scope="module")
def skewed_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with SkewedStack(tmp_path_factory.mktemp("skewed"), environment=TIMEOUTS) as stack:
        yield stack


@pytest.fixture
def skewed_client(skewed_stack: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=skewed_stack.url, timeout=30, **HTTP_CLIENT_OPTIONS) as client:
        yield client


def test_a_worker_and_a_gateway_that_are_ahead_take_no_stage_from_others(
    skewed_client: httpx.Client, skewed_stack: Stack
) -> None:
    slow_photo = encode_image(photo(5000, 4000), "jpeg")

    jobs = wait_for_all(skewed_client, [submit_photo(skewed_client, slow_photo) for _ in range(JOBS)], seconds=120)

    stages = [(name, stage) for job in jobs for name, stage in job["stages"].items()]
    assert [job["status"] for job in jobs] == ["done"] * JOBS
    assert {stage["worker"].partition("@")[0] for name, stage in stages if name == "normalize"} == {"normalize", AHEAD}
    assert [job["generation"] for job in jobs] == [0] * JOBS
    assert {(name, stage["attempts"]) for name, stage in stages if stage["attempts"] != 1} == set()
    assert not [name for name in skewed_stack.processes if "stage.fenced" in skewed_stack.log(name)]


@pytest.mark.parametrize("process", [AHEAD, "gateway"])
def test_a_process_whose_clock_is_wrong_says_so(skewed_client: httpx.Client, skewed_stack: Stack, process: str) -> None:
    def has_measured() -> bool:  # a worker does so with its first job
        wait_for_all(skewed_client, [submit_photo(skewed_client, encode_image(photo(), "jpeg"))])
        return read(skewed_stack, process, "clock_skew_seconds") != 0

    wait_until(has_measured, "the first measurement")

    assert read(skewed_stack, process, "clock_skew_seconds") == pytest.approx(SKEW_SECONDS, abs=SKEW_SECONDS / 2)
    wait_until(lambda: "clock.skewed" in skewed_stack.log(process), "the log line")
