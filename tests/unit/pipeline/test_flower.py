"""Whom Flower lets in, and what it remembers."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from celery import Celery
from pydantic import ValidationError
from tornado.ioloop import IOLoop

from pipeline.flower_app import PersistentEvents
from pipeline.flower_settings import FlowerSettings

LIMIT = 3


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "localhost", "127.1.2.3"])
def test_on_this_machine_no_credentials_are_needed(address: str) -> None:
    assert FlowerSettings(address=address).user == ""


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "", "10.0.0.7", "flower.internal"])  # noqa: S104  # that is the case
def test_where_strangers_can_reach_it_credentials_are_needed(address: str) -> None:
    with pytest.raises(ValidationError, match="DARKROOM_FLOWER_PASSWORD"):
        FlowerSettings(address=address)

    assert FlowerSettings(address=address, user="ann", password="secret").address == address  # noqa: S106


@pytest.mark.parametrize("given", [{"user": "ann"}, {"password": "a-secret"}])
def test_half_of_the_credentials_is_a_mistake(given: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="set both"):
        FlowerSettings.model_validate(given)


def test_a_mistake_does_not_print_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_FLOWER_PASSWORD", "a-secret")

    with pytest.raises(ValidationError) as mistake:
        FlowerSettings()

    assert "a-secret" not in str(mistake.value)


@pytest.mark.parametrize(("user", "password"), [("a:b", "secret"), ("ann", "sécret"), ("ann", "a\nb")])
def test_credentials_that_browsers_would_garble_are_a_mistake(user: str, password: str) -> None:
    with pytest.raises(ValidationError):
        FlowerSettings(user=user, password=password)


def test_the_password_can_be_in_a_file_of_the_secrets_folder(tmp_path: Path) -> None:
    (tmp_path / "darkroom_flower_password").write_text("from-a-file\n", encoding="ascii")

    shown = subprocess.check_output(
        [sys.executable, "-c", "from pipeline.flower_settings import FlowerSettings; print(FlowerSettings().password)"],
        env={**os.environ, "DARKROOM_FLOWER_USER": "ann", "DARKROOM_SECRETS_DIR": str(tmp_path)},
        text=True,
    )

    assert shown == "from-a-file\n"


def _memory(folder: Path) -> PersistentEvents:
    return PersistentEvents(
        Celery(set_as_current=False),
        IOLoop.current(),
        db=str(folder / "memory"),
        persistent=True,
        max_tasks_in_memory=LIMIT,
    )


def _see(memory: PersistentEvents, *task_ids: str) -> None:
    for task_id in task_ids:
        seen = {"type": "task-received", "uuid": task_id, "name": "resize", "hostname": "resize@here"}
        memory.state.event(seen | {"timestamp": time.time(), "local_received": time.time(), "clock": 1})


async def test_what_was_seen_is_there_again(tmp_path: Path) -> None:
    memory = _memory(tmp_path)
    _see(memory, "one", "two")

    memory.save_state()

    again = _memory(tmp_path).state
    assert sorted(again.tasks) == ["one", "two"]
    assert again.counter["resize@here"]["task-received"] == 2


async def test_only_the_latest_are_remembered_also_after_a_restart(tmp_path: Path) -> None:
    memory = _memory(tmp_path)
    _see(memory, *"abcd")
    memory.save_state()
    again = _memory(tmp_path)

    _see(again, "e")

    assert sorted(memory.state.tasks) == ["b", "c", "d"]
    assert sorted(again.state.tasks) == ["c", "d", "e"]


async def test_a_memory_that_cannot_be_read_is_put_aside(tmp_path: Path) -> None:
    (tmp_path / "memory").write_bytes(b"half a pick")

    memory = _memory(tmp_path)

    assert not memory.state.tasks
    assert (tmp_path / "memory.unreadable").read_bytes() == b"half a pick"
