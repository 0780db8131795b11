"""The worker pools that DARKROOM_POOLS chooses."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.local.pools import choose_pools
from deploy.local.stack import Stack
from deploy.local.supervisord_control import StackError
from deploy.local.up import create_stack
from pipeline.routing import INNER_QUEUES, OUTBOUND_QUEUES, QUEUES


def _queues(stack: Stack) -> dict[str, set[str]]:
    """Return the queues of each worker of a stack."""
    commands = {name: process.command for name, process in stack.processes.items() if "-Q" in process.command}
    return {name: set(words[words.index("-Q") + 1].split(",")) for name, words in commands.items()}


@pytest.mark.parametrize("choice", ["", "each"])
def test_by_default_each_queue_of_a_stage_has_a_worker(choice: str, tmp_path: Path) -> None:
    stack = Stack(tmp_path, **choose_pools(choice, cores=2))

    assert _queues(stack) == {queue: {queue} for queue in INNER_QUEUES} | {"outbound": set(OUTBOUND_QUEUES)}
    assert stack.pools["normalize"] == stack.pools["resize"] == 2


def test_one_worker_serves_all_queues_of_stages_and_one_the_others(tmp_path: Path) -> None:
    stack = Stack(tmp_path, **choose_pools("one", cores=2))

    assert _queues(stack) == {"worker": set(INNER_QUEUES), "outbound": set(OUTBOUND_QUEUES)}
    assert stack.pools["worker"] == 2


def test_one_worker_serves_all_queues(tmp_path: Path) -> None:
    stack = Stack(tmp_path, **choose_pools("all", cores=2))

    assert _queues(stack) == {"worker": set(QUEUES)}


def test_a_machine_of_many_cores_has_four_children() -> None:
    assert choose_pools("one", cores=64)["shared_pool"] == 4


def test_the_variable_chooses_the_pools_of_run_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_POOLS", "all")

    assert _queues(create_stack()) == {"worker": set(QUEUES)}


def test_another_choice_is_refused_with_the_name_of_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_POOLS", "two")

    with pytest.raises(StackError, match=r"DARKROOM_POOLS is 'two'; it should be each, one or all\."):
        create_stack()
