"""`darkroom webhooks` and `darkroom listen`: usage, what is printed, and what is forwarded, without a gateway."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import RenderableType
from typer.testing import CliRunner, Result

from gateway.cli.app import app, run
from gateway.cli.command import CommandError
from gateway.cli.commands.listen import SECRET_VARIABLE
from gateway.cli.commands.webhooks import COMMANDS, EVENTS, STATUSES
from gateway.cli.console import PlainTextConsole
from gateway.cli.exit_codes import ExitCode
from gateway.cli.forwarding import Forwarder, event_line, read_webhook_secret, sign
from gateway.cli.webhook_views import deliveries_table, delivery_view, secret_view, webhook_view, webhooks_table
from gateway.client.webhook_models import DeliveryDetails, DeliveryStatus, Event, Webhook, WebhookWithSecret
from gateway.routes.event_feed import TYPES
from storage.events import EventType
from storage.webhooks import DeliveryState
from tests.support.webhooks import SECRET

UNREACHABLE_URL = "http://127.0.0.1:9"
EVIL = "\x1b]0;stolen\x07\x1b[31m\x9b31m\u202e[/] [bold] :smile: "
WEBHOOK = Webhook(webhook_id="an-id", url="https://shop.example/hook", events=["job.done"])


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})


def render(view: RenderableType) -> str:
    console = PlainTextConsole(file=io.StringIO(), width=200)
    console.print(view)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]  # it is a StringIO
    return text


def test_the_command_knows_the_events_and_states_of_the_gateway() -> None:
    assert set(EVENTS) == set(EventType)
    assert set(EVENTS) - {"rendition.done"} == set(TYPES)
    assert set(STATUSES) == set(DeliveryState)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_every_command_has_the_common_options_and_exit_codes(name: str) -> None:
    result = invoke("webhooks", name, "--help")

    assert result.exit_code == 0
    assert all(option in result.stdout for option in ("--url", "--api-key", "--patience", "--json", "DARKROOM_URL"))
    assert all(f"{int(status)} " in result.stdout.partition("Exit codes:")[2] for status in ExitCode)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing command."),
        (["shwo"], "Did you mean 'show'?"),
        (["show"], "Missing argument 'WEBHOOK_ID'."),
        (["create"], "Missing argument 'URL'."),
        (["redeliver", "an-id"], "Missing argument 'DELIVERY_ID'."),
        (["rotate", "an-id", "--expires-in", "-1"], "--expires-in must be 0 or more."),
        (["deliveries", "an-id", "--limit", "0"], "--limit must be 1 or more."),
        (["update", "an-id", "--url", UNREACHABLE_URL], "What is to change?"),
    ],
)
def test_a_usage_error_is_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    status = run(["webhooks", *arguments])

    out, err = capsys.readouterr()
    assert (status, out) == (ExitCode.USAGE, "")
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--forward", "ftp://here"], "is no address"),
        (["--forward", "http://x:port", "--after", "1."], "is no address"),
        (["--forward", "localhost:3000", "--secret-file", "-"], "The secret should be whsec_"),
        (["--forward", "localhost:3000", "--secret-file", "/nowhere/at/all"], "No such file"),
    ],
)
def test_a_place_that_nothing_can_be_forwarded_to_is_refused(options: list[str], message: str) -> None:
    result = invoke("listen", "--url", UNREACHABLE_URL, "--patience", "0", *options)

    assert result.exit_code == ExitCode.USAGE
    assert message in result.stderr


def test_a_gateway_that_is_away_is_named() -> None:
    result = invoke("listen", "--url", UNREACHABLE_URL, "--patience", "0")

    assert result.exit_code == ExitCode.UNAVAILABLE
    assert UNREACHABLE_URL in result.stderr


def test_a_signature_is_the_one_of_the_specification() -> None:
    """The example of Standard Webhooks, which its libraries test themselves with."""
    secret = read_secret_from(SECRET)

    signature = sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, '{"test": 2432232314}', secret)

    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def read_secret_from(text: str, file: str | None = None) -> bytes:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SECRET_VARIABLE, text)
        secret = read_webhook_secret(file)
    assert secret is not None
    return secret


def test_a_secret_comes_from_a_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret"
    path.write_text(f"{SECRET}\n")

    assert read_secret_from("", str(path)) == read_secret_from(SECRET)
    monkeypatch.delenv(SECRET_VARIABLE, raising=False)
    assert read_webhook_secret(None) is None


@pytest.mark.parametrize("text", ["whsec_AAAA", "whsec_!!", "hunter2 and a bit more than that", "whsec_" + "A" * 100])
def test_what_is_no_secret_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(CommandError) as error:
        read_secret_from(text)

    assert text not in str(error.value)


BODY = '{"type":"job.done","timestamp":"2026-01-01T00:00:00Z","data":{"task_id":"a-job","metadata":{"name":"☃"}}}'
EVENT = Event.model_validate(json.loads(BODY) | {"position": "17.a-job-0-1-done", "body": BODY})


def test_an_event_is_forwarded_as_a_webhook_gets_it() -> None:
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(204)

    secret = read_secret_from(SECRET)
    line, style = Forwarder("localhost:3000/hook", secret, transport=httpx.MockTransport(answer)).forward(EVENT)

    [request] = requests
    timestamp = int(request.headers["webhook-timestamp"])
    assert (str(request.url), request.content) == ("http://localhost:3000/hook", BODY.encode())
    assert request.headers["webhook-id"] == "a-job-0-1-done"
    assert request.headers["webhook-signature"] == sign("a-job-0-1-done", timestamp, BODY, secret)
    assert request.headers["content-type"] == "application/json"
    assert (line.startswith("  forwarded: 204 in "), style) == (True, "dim")


def test_without_a_secret_nothing_is_signed() -> None:
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(500)

    line, style = Forwarder("http://localhost:3000", None, transport=httpx.MockTransport(answer)).forward(EVENT)

    assert "webhook-signature" not in requests[0].headers
    assert (line.startswith("  forwarded: 500 in "), style) == (True, "red")


def test_a_program_that_does_not_run_stops_nothing() -> None:
    line, style = Forwarder(f"{UNREACHABLE_URL}/hook", None).forward(EVENT)

    assert (line.startswith("  not forwarded: "), style) == (True, "red")


def test_an_event_is_one_line_with_its_job() -> None:
    data = {"task_id": "a-job", "original": {"name": "cat.jpg"}, "failure": {"code": "image_corrupt"}}

    text = event_line(Event(type="job.failed", timestamp=datetime.now(UTC), data=data)).plain

    assert all(part in text for part in ("job.failed", "a-job", "cat.jpg", "image_corrupt"))
    assert "\n" not in text


TIME = "2026-01-01T00:00:00Z"
TRY: dict[str, Any] = {"at": TIME, "duration_ms": 12, "status": 500, "answer": EVIL}
DELIVERY: dict[str, Any] = {
    "delivery_id": "an-event.an-id",
    "webhook_id": "an-id",
    "type": EVIL,
    "status": EVIL,
    "created_at": TIME,
    "next_try_at": TIME,
    "tries": [TRY, TRY | {"status": None, "error": EVIL}],
}
EVIL_WEBHOOK = {"webhook_id": "an-id", "url": EVIL, "events": [EVIL], "description": EVIL, "disabled_reason": EVIL}
EVIL_DATA = {"task_id": EVIL, "original": {"name": EVIL}, "failure": {"code": EVIL}}
VIEWS = {
    "webhooks": webhooks_table([Webhook.model_validate(EVIL_WEBHOOK)]),
    "webhook": webhook_view(Webhook.model_validate(EVIL_WEBHOOK)),
    "secret": secret_view(WebhookWithSecret.model_validate(EVIL_WEBHOOK | {"secret": EVIL})),
    "deliveries": deliveries_table([DeliveryStatus.model_validate(DELIVERY)]),
    "delivery": delivery_view(DeliveryDetails.model_validate(DELIVERY | {"payload": {EVIL: EVIL}})),
    "event": event_line(
        Event(type=EVIL, data={"task_id": EVIL, "original": {"name": EVIL}, "failure": {"code": EVIL}})
    ),
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_no_text_of_a_server_controls_the_terminal(view: RenderableType) -> None:
    text = render(view)

    assert [character for character in text if not character.isprintable() and character != "\n"] == []
    assert "[bold] :smile:" in text


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({}, "enabled"),
        ({"failing_since": TIME}, "failing"),
        ({"disabled": True, "disabled_reason": "owner"}, "disabled"),
        ({"disabled": True, "disabled_reason": "gone"}, "disabled: it answered 410"),
        ({"disabled": True, "disabled_reason": "failing"}, "disabled: it failed for days"),
    ],
)
def test_a_webhook_shows_whether_events_arrive(fields: dict[str, Any], state: str) -> None:
    webhook = Webhook.model_validate(WEBHOOK.model_dump(mode="json") | fields)

    assert state in render(webhooks_table([webhook]))
    assert state in render(webhook_view(webhook))


def test_the_secret_has_a_line_of_its_own() -> None:
    text = render(secret_view(WebhookWithSecret(**WEBHOOK.model_dump(), secret=SECRET)))

    assert SECRET in text.splitlines()
