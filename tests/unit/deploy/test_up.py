"""The ports that `./run up` chooses, and the log lines that it prints."""

from __future__ import annotations

import io
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from deploy.local.supervisord_control import StackError
from deploy.local.up import CHOICES, PortChoice, allow_loopback, create_stack, find_preset_mistakes, print_log_line
from pipeline.outbound.errors import OutboundRefused
from pipeline.outbound.guard import check_url
from pipeline.outbound_settings import OutboundSettings
from pipeline.settings import Settings


@pytest.fixture
def port_in_use() -> Iterator[int]:
    """A port that another program listens on."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_a_port_in_use_is_replaced_and_explained(port_in_use: int) -> None:
    choice = PortChoice("DARKROOM_UI_PORT", port_in_use)

    port = choice.choose()

    assert port != port_in_use
    assert choice.explain(port) == (
        f"(port {port_in_use} is in use by another program; DARKROOM_UI_PORT chooses another)"
    )


def test_a_port_set_by_a_variable_is_never_replaced(port_in_use: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_UI_PORT", str(port_in_use))
    choice = PortChoice("DARKROOM_UI_PORT", 8000)

    assert choice.choose() == port_in_use
    assert choice.explain(port_in_use) == ""


def test_the_port_of_the_gateway_is_never_replaced(port_in_use: int) -> None:
    assert PortChoice("DARKROOM_PORT", port_in_use, is_replaceable=False).choose() == port_in_use
    assert not CHOICES["gateway"].is_replaceable


@pytest.mark.parametrize("choice", CHOICES.values(), ids=CHOICES)
@pytest.mark.parametrize("text", ["http", "0", "65536", "-1"])
def test_an_invalid_port_is_refused_with_the_name_of_the_variable(
    choice: PortChoice, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(choice.variable, text)

    with pytest.raises(StackError, match=choice.variable):
        choice.choose()


def outbound_settings_of_up() -> OutboundSettings:
    """Return what the processes of `./run up` may connect to."""
    return OutboundSettings(allow=json.loads((os.environ | create_stack().environment)["DARKROOM_OUTBOUND__ALLOW"]))


@pytest.mark.parametrize("url", ["http://127.0.0.1:3000/hook", "http://[::1]:3000/hook", "http://localhost:3000/hook"])
def test_webhooks_and_imports_reach_this_machine(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DARKROOM_OUTBOUND__ALLOW", raising=False)

    check_url(url, outbound_settings_of_up())


@pytest.mark.parametrize("url", ["http://192.168.1.1/", "http://10.0.0.1/", "http://169.254.169.254/"])
def test_webhooks_and_imports_reach_no_other_machine_inside(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DARKROOM_OUTBOUND__ALLOW", raising=False)

    with pytest.raises(OutboundRefused):
        check_url(url, outbound_settings_of_up())


def test_what_the_environment_allows_replaces_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_OUTBOUND__ALLOW", '["hooks.internal"]')

    with pytest.raises(OutboundRefused):
        check_url("http://127.0.0.1/", outbound_settings_of_up())


def test_links_in_webhooks_lead_to_the_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DARKROOM_WEBHOOKS__PUBLIC_URL", raising=False)
    stack = create_stack()

    assert stack.environment["DARKROOM_WEBHOOKS__PUBLIC_URL"] == stack.url


def test_one_worker_serves_all_that_goes_out() -> None:
    stack = create_stack()

    assert "-Q fetch,notify " in " ".join(stack.processes["outbound"].command)


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_long_log_line_is_never_broken(*, is_terminal: bool) -> None:
    output = io.StringIO()
    task_id = "01a2039d-7b24-74b5-ba4e-92131ab0f05e"
    line = f"\x1b[2mrequest.served\x1b[0m {'x' * 30} \x1b[36mtask_id\x1b[0m=\x1b[35m{task_id}\x1b[0m"

    print_log_line(Console(file=output, width=60, force_terminal=is_terminal), "gateway", line, colour="cyan")

    assert output.getvalue().count("\n") == 1
    assert task_id in output.getvalue()


def test_mistakes_in_presets_are_found_before_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "presets.toml").write_text("[product.renditions.card]\nedgee = 1\n", encoding="utf-8")
    monkeypatch.setenv("DARKROOM_PRESETS", str(tmp_path / "presets.toml"))

    assert find_preset_mistakes() == [
        "presets.toml:2: product.renditions.card.edgee: There is no such name. Did you mean edge?"
    ]


def test_a_relative_path_of_presets_starts_at_the_checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DARKROOM_PRESETS", "deploy/presets")

    assert find_preset_mistakes() == []


@pytest.mark.parametrize("url", ["http://localhost:3000/", "http://127.0.0.1:49152/", "http://[::1]:8000/"])
def test_webhooks_and_imports_may_use_servers_of_this_machine(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in allow_loopback().items():
        monkeypatch.setenv(name, value)

    check_url(url, Settings().outbound)


@pytest.mark.parametrize("value", ["[]", '["hooks.internal"]'])
def test_what_webhooks_and_imports_may_use_can_be_set(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_OUTBOUND__ALLOW", value)

    assert allow_loopback() == {}
