"""A real Prometheus on a real stack: every target is up, every rule holds, every panel shows something."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import pytest

from deploy.local.stack import Stack
from tests.integration.api_helpers import submit_operation, submit_photo, upload, wait_for_all, wait_until
from tests.integration.prometheus_server import Prometheus, run_prometheus
from tests.support.http_options import HTTP_CLIENT_OPTIONS
from tests.support.image_server import Scripted, run_scripted_server
from tests.support.images import encode_image, photo
from tests.support.prometheus_config import PROMETHEUS_FOLDER, load_dashboards, panels, rules, selectors
from tests.support.webhook_receiver import run_receiver

EMPTY_WHILE_ALL_IS_WELL = {
    "safety: Refused under load",
    "darkroom:http_requests_5xx:ratio_rate5m",
    "ALERTS",
    "ALERTS_FOR_STATE",
    "pipeline: Alerts",
    "pipeline: Memory of Redis",
    "safety: Since the last load",  # of a file of presets
    "darkroom_redis_memory_used_bytes",
    "darkroom_redis_memory_max_bytes",
    "darkroom:redis_memory_used:ratio",  # of a limit, which this Redis has not
}

OF_EXPORTERS = {"redis", "mongo"}
"""The dashboards of servers whose exporters do not run here."""


PICTURE = encode_image(photo(320, 240), "JPEG")


class Asked(NamedTuple):
    """A query of a panel."""

    panel: str
    expression: str
    legend: str


QUERIES = [
    Asked(f"{stem}: {panel['title']}", target["expr"], target["legendFormat"])
    for stem, board in load_dashboards().items()
    if stem not in OF_EXPORTERS
    for panel in panels(board)
    for target in panel["targets"]
]
MARKS = {annotation["expr"] for board in load_dashboards().values() for annotation in board["annotations"]["list"]}


def health(prometheus: Prometheus) -> dict[str, str]:
    """Return how each target was found last, by its pool or else its job: `up`, `down`, or `unknown` before."""
    targets = prometheus.get("targets", state="active")["activeTargets"]
    return {each["labels"].get("pool", each["labels"]["job"]): each["health"] for each in targets}


def every_target_is_up(prometheus: Prometheus) -> bool:
    return set(health(prometheus).values()) == {"up"}


def work(client: httpx.Client, source_url: str) -> None:
    """Have photos done, one refused by a worker, one at the door, an operation, and a request for nothing."""
    jobs = [submit_photo(client, PICTURE), submit_photo(client, PICTURE[: len(PICTURE) // 2])]
    jobs.append(submit_operation(client, "grayscale", PICTURE))
    imported = client.post("/upload", files={"source_url": (None, source_url)}).raise_for_status()
    jobs.append(imported.json()["task_id"])
    assert upload(client, b"no image").is_client_error
    assert client.get("/nowhere").status_code == 404
    ended = wait_for_all(client, jobs)
    assert [job["status"] for job in ended] == ["done", "failed", "done", "done"]


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that may fetch from this machine, and send to it."""
    allowed = {"DARKROOM_OUTBOUND__ALLOW": '["127.0.0.0/8:*"]'}
    with Stack(tmp_path_factory.mktemp("watched"), outbound_pool=1, environment=allowed) as stack:
        yield stack


@pytest.fixture(scope="module")
def client(watched: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=watched.url, timeout=30, **HTTP_CLIENT_OPTIONS) as client:
        yield client


@pytest.fixture(scope="module")
def prometheus(watched: Stack, client: httpx.Client, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Prometheus, having watched a stack at work, with a webhook."""
    folder = tmp_path_factory.mktemp("prometheus")
    with run_receiver() as receiver, run_scripted_server() as server, run_prometheus(watched, folder) as prometheus:
        source_url = server.script("/photo.jpg", Scripted(PICTURE))
        webhook = {"url": receiver.url(), "events": ["job.done", "job.failed"]}
        client.post("/webhooks", json=webhook).raise_for_status()
        wait_until(lambda: every_target_is_up(prometheus), "every target to be up")  # and its counters seen at 0
        work(client, source_url)
        late = "count(darkroom_renditions_total) and count(darkroom_http_problems_total)"
        wait_until(lambda: bool(prometheus.ask(late)), "the series that begin with their first event")
        work(client, source_url)
        yield prometheus


def test_every_panel_shows_something(prometheus: Prometheus) -> None:
    dark = {asked for asked in QUERIES if asked.panel not in EMPTY_WHILE_ALL_IS_WELL}

    def all_shown() -> bool:
        dark.difference_update([asked for asked in dark if prometheus.ask(asked.expression)])
        return not dark

    try:
        wait_until(all_shown, "every panel to show something")
    except AssertionError:
        pytest.fail(f"nothing is shown by {sorted(dark)}")


def test_every_query_executes_and_its_series_have_the_labels_they_are_named_by(prometheus: Prometheus) -> None:
    for asked in QUERIES:
        named_by = set(re.findall(r"{{(\w+)}}", asked.legend))

        assert all(named_by <= labels.keys() for labels in prometheus.ask(asked.expression)), asked


def test_starts_are_marked_with_the_version_that_started(prometheus: Prometheus) -> None:
    for expression in MARKS:
        marks = prometheus.ask(expression)

        assert {(mark["job"], mark.get("pool")) for mark in marks} >= {("gateway", None), ("workers", "resize")}
        assert all(mark["version"] for mark in marks)


def test_every_target_is_up(prometheus: Prometheus) -> None:
    wait_until(lambda: every_target_is_up(prometheus), "every target to be up")

    workers = {"fetch", "validate", "normalize", "resize", "transform", "finalize"}
    assert health(prometheus).keys() == workers | {"gateway", "frontend", "backups", "flower", "prometheus"}


def test_every_rule_is_evaluated_without_an_error(prometheus: Prometheus) -> None:
    def evaluated() -> list[dict[str, Any]]:
        return [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]

    wait_until(lambda: all(rule["health"] != "unknown" for rule in evaluated()), "every rule to be evaluated")

    assert len(evaluated()) == len(rules())
    assert [rule for rule in evaluated() if rule["health"] != "ok"] == []


def test_every_alert_links_to_its_section_of_the_runbook_that_prometheus_serves(prometheus: Prometheus) -> None:
    fired = prometheus.get("rules", type="alert")["groups"]
    names = [rule["name"] for group in fired for rule in group["rules"]]

    page = prometheus.fetch("/consoles/runbook.html")

    assert page.headers["content-type"].startswith("text/html")
    assert page.text == (PROMETHEUS_FOLDER / "consoles" / "runbook.html").read_text(encoding="utf-8")
    assert {name for name in names if f'id="{name.lower()}"' not in page.text} == set()


def test_no_alert_fires_while_all_is_well(prometheus: Prometheus) -> None:
    wait_until(lambda: not prometheus.ask('ALERTS{alertname=~".*Down|Queue.*"}'), "every target to be seen up")

    assert prometheus.ask('ALERTS{alertstate="firing"}') == []


def test_every_metric_that_is_asked_for_exists_with_the_labels_it_is_chosen_by(prometheus: Prometheus) -> None:
    expressions = [*(rule["expr"] for rule in rules()), *(asked.expression for asked in QUERIES), *MARKS]
    wanted = {
        (metric, label)
        for expression in expressions
        for metric, labels in selectors(expression).items()
        for label in labels or {"__name__"}
    }

    missing = {
        (metric, label)
        for metric, label in wanted
        if metric not in EMPTY_WHILE_ALL_IS_WELL and not prometheus.ask(f'{{__name__="{metric}",{label}!=""}}')
    }
    assert missing == set()
