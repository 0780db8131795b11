"""The event feed and the commands of webhooks on a whole stack: over lost connections, restarts and real deliveries."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.local.stack import Stack
from gateway.client import Client, Problem, RetryPolicy
from gateway.client.webhook_models import Event
from tests.conftest import SHORT_TIMEOUTS
from tests.integration.api_helpers import submit_photo, wait_for_end, wait_until
from tests.integration.test_cli import Darkroom
from tests.support.http_options import HTTP_CLIENT_OPTIONS
from tests.support.images import photo_file
from tests.support.webhook_receiver import Receiver, Reply
from tests.support.webhooks import SECRET

PHOTO = photo_file(60, 40)
PATIENT = RetryPolicy(seconds=60, base=0.05, cap=0.5)


@pytest.fixture(scope="module")
def feeding(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that may send to this machine, with a webhook in its settings."""
    fixed = {"local": {"url": "http://127.0.0.1:9/hook", "secrets": [SECRET], "events": ["job.dead"]}}
    environment = SHORT_TIMEOUTS | {
        "DARKROOM_OUTBOUND__ALLOW": '["127.0.0.0/8:*"]',
        "DARKROOM_WEBHOOKS__FIXED": json.dumps(fixed),
    }
    with Stack(tmp_path_factory.mktemp("feeding"), shared_pool=1, outbound_pool=1, environment=environment) as stack:
        yield stack


@pytest.fixture(scope="module")
def http(feeding: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=feeding.url, timeout=30, **HTTP_CLIENT_OPTIONS) as client:
        yield client


@pytest.fixture
def darkroom(tmp_path: Path, feeding: Stack) -> Darkroom:
    return Darkroom(tmp_path, feeding.url)


class Listener:
    """Reads the events of a gateway in a thread, until the test ends."""

    def __init__(self, url: str, **options: Any) -> None:
        self.events: list[Event] = []
        self._url, self._options = url, options
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self) -> None:
        # The stack ends before the thread, which then fails. What it has missed until then, the test misses, too.
        with suppress(httpx.TransportError, Problem), Client(self._url, retry_policy=PATIENT) as client:
            for event in client.events(**self._options):
                self.events.append(event)

    @property
    def task_ids(self) -> list[str]:
        return [event.data["task_id"] for event in list(self.events)]

    def of(self, *task_ids: str) -> list[Event]:
        """Return the events of these jobs: those of the last second before a stream may be sent as well."""
        return [event for event in list(self.events) if event.data["task_id"] in task_ids]


def now_position(http: httpx.Client) -> str:
    """Return the position of now, which a new stream begins with."""
    with http.stream("GET", "/events") as answer:
        return next(line.removeprefix("id: ") for line in answer.iter_lines() if line.startswith("id: "))


def test_events_come_once_each_over_a_restart_of_the_gateway(feeding: Stack, http: httpx.Client) -> None:
    listener = Listener(feeding.url, after=now_position(http))
    first = [submit_photo(http, PHOTO) for _ in range(3)]
    wait_until(lambda: set(first) <= set(listener.task_ids), "the first events")

    feeding.stop_process("redis")  # notifications are lost
    feeding.start_process("redis")
    feeding.restart_process("gateway")
    second = [submit_photo(http, PHOTO) for _ in range(3)]
    feeding.signal("gateway", signal.SIGKILL)
    wait_until(lambda: set(first + second) <= set(listener.task_ids), "the events after the restarts")

    received = listener.of(*first, *second)
    assert sorted(event.data["task_id"] for event in received) == sorted(first + second), "each once"
    assert {event.type for event in received} == {"job.done"}
    assert received[-1].job.renditions.keys() == {"small", "medium", "large"}


def test_a_stream_that_goes_on_gets_what_happened_while_nobody_listened(http: httpx.Client, feeding: Stack) -> None:
    position = now_position(http)
    broken = submit_photo(http, PHOTO[:400])
    done = submit_photo(http, PHOTO)
    for task_id in (broken, done):
        wait_for_end(http, task_id)

    listener = Listener(feeding.url, after=position)
    wait_until(lambda: {broken, done} <= set(listener.task_ids), "the events of before")
    later = Listener(feeding.url, after=position, types=["job.failed"], thin=True)
    wait_until(lambda: broken in later.task_ids, "the event of the wanted type")

    assert [event.type for event in listener.of(broken, done)] == ["job.failed", "job.done"]
    [failed] = later.of(broken)
    assert failed.data["failure"]["code"] == "image_truncated"
    assert "stages" not in failed.data
    assert later.of(done) == []


def test_a_cancelled_job_is_an_event_although_nobody_notifies_of_it(http: httpx.Client, feeding: Stack) -> None:
    listener = Listener(feeding.url, after=now_position(http))
    feeding.stop_process("worker")
    try:
        task_id = submit_photo(http, PHOTO)
        http.delete(f"/jobs/{task_id}").raise_for_status()
        wait_until(lambda: task_id in listener.task_ids, "the event")
    finally:
        feeding.start_process("worker")

    assert [event.type for event in listener.of(task_id)] == ["job.cancelled"]


def test_a_webhook_is_managed_by_the_command(darkroom: Darkroom, receiver: Receiver) -> None:
    created = darkroom("webhooks", "create", receiver.url(), "--event", "job.done", "--json").documents[0]
    webhook_id, secret = created["webhook_id"], created["secret"]

    tested = darkroom("webhooks", "test", webhook_id, "--json")
    event_id = tested.documents[0]["event_id"]
    receiver.reply = lambda request: Reply() if request.event_id == event_id else Reply(503, content=b"closed")
    refused = darkroom("webhooks", "test", webhook_id)
    rotated = darkroom("webhooks", "rotate", webhook_id, "--json").documents[0]
    again = darkroom("webhooks", "redeliver", webhook_id, tested.documents[0]["delivery_id"])

    assert (tested.status, tested.documents[0]["status"]) == (0, "delivered")
    assert (refused.status, "503" in refused.out, "closed" in refused.out) == (1, True, True)
    assert (again.status, "delivered" in again.out) == (0, True)
    first, last = (request for request in receiver.received if request.event_id == event_id)
    assert first.verify(secret)["data"]["webhook_id"] == webhook_id
    assert last.verify(secret) == last.verify(rotated["secret"]), "both secrets sign"
    listed = darkroom("webhooks", "deliveries", webhook_id, "--json").documents
    assert [(each["status"], each["type"]) for each in listed] == [
        ("pending", "webhook.test"),
        ("delivered", "webhook.test"),
    ]
    shown = darkroom("webhooks", "deliveries", webhook_id, listed[1]["delivery_id"], "--json").documents[0]
    assert shown["payload"]["type"] == "webhook.test"


def test_a_webhook_is_disabled_enabled_and_removed_by_the_command(darkroom: Darkroom, receiver: Receiver) -> None:
    webhook_id = darkroom("webhooks", "create", receiver.url("/second"), "--json").documents[0]["webhook_id"]

    disabled = darkroom("webhooks", "update", webhook_id, "--disable", "--description", "later")
    test_of_disabled = darkroom("webhooks", "test", webhook_id)
    enabled = darkroom("webhooks", "update", webhook_id, "--enable", "--to", receiver.url("/third"), "--json")
    tested = darkroom("webhooks", "test", webhook_id)
    listed, shown = darkroom("webhooks", "list", "--json"), darkroom("webhooks", "show", webhook_id)
    removed, gone = (darkroom("webhooks", *arguments, webhook_id) for arguments in (["delete"], ["show"]))

    assert (disabled.status, "disabled" in disabled.out, "later" in disabled.out) == (0, True, True)
    assert (test_of_disabled.status, "webhook_disabled" in test_of_disabled.err) == (4, True)
    assert (enabled.documents[0]["disabled"], tested.status) == (False, 0)
    assert [request.path for request in receiver.received] == ["/third"]
    assert webhook_id in [webhook["webhook_id"] for webhook in listed.documents]
    assert "whsec_" not in listed.out + shown.out
    assert (removed.status, gone.status) == (0, 4)
    assert "webhook_not_found" in gone.err


def test_a_webhook_of_the_settings_is_shown_and_not_changed(darkroom: Darkroom) -> None:
    shown = darkroom("webhooks", "show", "fixed-local", "--json")
    refused = darkroom("webhooks", "update", "fixed-local", "--to", "http://127.0.0.1:9/other")

    assert (shown.documents[0]["url"], shown.documents[0]["events"]) == ("http://127.0.0.1:9/hook", ["job.dead"])
    assert (refused.status, "webhook_fixed" in refused.err) == (4, True)


def test_events_are_listened_to_and_forwarded(
    darkroom: Darkroom, http: httpx.Client, receiver: Receiver, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text(SECRET)
    position = now_position(http)
    task_id = submit_photo(http, PHOTO, "cat.jpg")
    options = ["--forward", receiver.url("/local"), "--secret-file", tmp_path / "secret", "--after", position]
    listening = darkroom.start("listen", "--json", *options)
    wait_until(lambda: any(task_id in request.event_id for request in receiver.received), "the forwarded event")
    listening.send_signal(signal.SIGINT)
    out, err = listening.communicate(timeout=30)

    request = receiver.received[-1]
    payload = request.verify()
    assert (request.path, payload["type"], payload["data"]["task_id"]) == ("/local", "job.done", task_id)
    event = [json.loads(line) for line in out.splitlines()][-1]
    assert (event["type"], event["data"]) == ("job.done", payload["data"])
    assert event["position"].endswith(request.event_id)
    assert listening.returncode == 130, err
    assert SECRET not in err.decode() + out.decode()
