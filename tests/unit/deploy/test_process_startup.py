"""The reasons why a process does not become ready."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from deploy.local.process_startup import PendingProcess, StackObserver, State, wait_for_all
from deploy.local.readiness import read_log_after
from deploy.local.supervisord_control import PortInUse, StackError

IN_USE = "OSError: [Errno 98] Address already in use\n"


def _wait(
    folder: Path, name: str = "gateway", *, log: str = "", is_ready: bool = False, **more: object
) -> PendingProcess:
    described: dict[str, object] = {
        "port": 0,
        "is_optional": False,
        "is_supervised": lambda: True,
        "find_pid": lambda: 7,
        "read_log": lambda: log,
    }
    return PendingProcess(name=name, folder=folder, is_ready=lambda: is_ready, **described | more)  # type: ignore[arg-type]


def test_a_port_that_is_taken_during_the_start_fails_at_once(tmp_path: Path) -> None:
    ended = _wait(tmp_path, log=IN_USE, port=8001, find_pid=lambda: 0)

    with pytest.raises(PortInUse, match=r"^Port 8001, meant for the gateway, is in use by another program\.$"):
        wait_for_all([ended])


def test_an_optional_process_is_skipped_with_its_reason(tmp_path: Path) -> None:
    flower = _wait(tmp_path, "flower", log=IN_USE, port=5555, find_pid=lambda: 0, is_optional=True)

    skipped_processes = wait_for_all([flower, _wait(tmp_path, is_ready=True)])

    assert {name: str(error) for name, error in skipped_processes.items()} == {
        "flower": "Port 5555, meant for the flower, is in use by another program."
    }


def test_the_log_of_a_running_process_is_not_searched_for_errors(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="did not become ready"):
        wait_for_all([_wait(tmp_path, log=IN_USE, port=8001)], seconds=0)


def test_a_full_disk_is_reported_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"^The disk of .* is full: the mongo did not become ready\.$"):
        wait_for_all([_wait(tmp_path, "mongo", log="OSError: [Errno 28] No space left on device")], seconds=0)


def test_only_the_log_of_this_start_is_shown(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("of the start before\n")
    start = log.stat().st_size
    with log.open("a") as file:
        file.write("of this start\n")

    with pytest.raises(StackError) as failed:
        wait_for_all([_wait(tmp_path, read_log=lambda: read_log_after(log, start))], seconds=0)

    assert "of this start" in str(failed.value)
    assert "before" not in str(failed.value)


def test_a_log_that_was_rotated_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("new\n")

    assert read_log_after(tmp_path / "log", 1000) == "new\n"
    assert read_log_after(tmp_path / "none", 0) == ""


def test_the_observer_receives_every_process_that_becomes_ready(tmp_path: Path) -> None:
    class Watcher(StackObserver):
        def __init__(self) -> None:
            self.calls: list[dict[str, State]] = []

        def on_starting(self, states: Mapping[str, State]) -> None:
            self.calls.append(dict(states))

    watcher, rounds = Watcher(), iter([False, True])
    slow = _wait(tmp_path, "mongo")
    slow.is_ready = lambda: next(rounds)

    wait_for_all([_wait(tmp_path, "redis", is_ready=True), slow], watcher)

    assert watcher.calls == [
        {"redis": "starting", "mongo": "starting"},
        {"redis": "ready", "mongo": "starting"},
        {"redis": "ready", "mongo": "ready"},
    ]
