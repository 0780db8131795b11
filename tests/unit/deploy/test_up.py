"""The ports that `./run up` chooses, and the log lines that it prints."""

from __future__ import annotations

import io
import socket
from collections.abc import Iterator

import pytest
from rich.console import Console

from deploy.local.supervisord_control import StackError
from deploy.local.up import CHOICES, PortChoice, print_log_line


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that another program listens on."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_another_port_is_taken_and_explained(taken: int) -> None:
    choice = PortChoice("DARKROOM_UI_PORT", taken)

    port = choice.choose()

    assert port != taken
    assert choice.explain(port) == (f"(port {taken} is in use by another program; DARKROOM_UI_PORT chooses another)")


def test_a_port_that_is_asked_for_is_never_exchanged(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_UI_PORT", str(taken))
    choice = PortChoice("DARKROOM_UI_PORT", 8000)

    assert choice.choose() == taken
    assert choice.explain(taken) == ""


def test_the_port_of_the_gateway_is_never_exchanged(taken: int) -> None:
    assert PortChoice("DARKROOM_PORT", taken, is_replaceable=False).choose() == taken
    assert not CHOICES["gateway"].is_replaceable


@pytest.mark.parametrize("choice", CHOICES.values(), ids=CHOICES)
@pytest.mark.parametrize("text", ["http", "0", "65536", "-1"])
def test_what_is_no_port_is_refused_by_its_name(choice: PortChoice, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(choice.variable, text)

    with pytest.raises(StackError, match=choice.variable):
        choice.choose()


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_long_log_line_is_never_broken(*, is_terminal: bool) -> None:
    output = io.StringIO()
    task_id = "01a2039d-7b24-74b5-ba4e-92131ab0f05e"
    line = f"\x1b[2mrequest.served\x1b[0m {'x' * 30} \x1b[36mtask_id\x1b[0m=\x1b[35m{task_id}\x1b[0m"

    print_log_line(Console(file=output, width=60, force_terminal=is_terminal), "gateway", line, colour="cyan")

    assert output.getvalue().count("\n") == 1
    assert task_id in output.getvalue()
