"""The servers that a stack has of its own in a benchmark."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.tools.bench.arguments import read_arguments
from tests.tools.bench.bench import Options
from tests.tools.bench.services import enter_or_explain, run_services

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def _absent() -> Iterator[None]:
    pytest.skip("it is not installed")
    yield


def test_without_being_asked_for_there_are_none(tmp_path: Path) -> None:
    with run_services(Options(json=tmp_path / "figures.json"), tmp_path) as services:
        assert (services.environment, services.pids) == ({}, {})


def test_a_server_that_is_not_installed_is_an_error_with_its_reason() -> None:
    with ExitStack() as resources, pytest.raises(RuntimeError, match="it is not installed"):
        enter_or_explain(resources, _absent())


def test_parts_are_words_and_compare_is_not_among_all() -> None:
    chosen = read_arguments(["all", "--parts", "race,idle"], ["race", "compare", "profile"])

    assert chosen.parts == ("race", "idle")
    assert chosen.scenarios == ["race"]
