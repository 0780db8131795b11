"""Flower on the running stack: what it shows, to whom, and that it changes nothing."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from flower.urls import handlers as flower_routes  # type: ignore[import-untyped]

from deploy.local.ports import free_port
from deploy.local.readiness import is_flower_ready as flower_answers
from deploy.local.stack import Stack
from tests.conftest import SHORT_TIMEOUTS
from tests.integration.api_helpers import submit_operation, submit_photo, wait_for_end, wait_until
from tests.support.http_options import HTTP_CLIENT_OPTIONS, HTTP_OPTIONS
from tests.support.images import encode_image, photo
from tests.support.programs import run_program

USER, PASSWORD = "ann", "a password: with, signs"  # of this stack
MAX_TASKS = 12
WATCHED = SHORT_TIMEOUTS | {
    "DARKROOM_FLOWER_USER": USER,
    "DARKROOM_FLOWER_PASSWORD": PASSWORD,
    "DARKROOM_FLOWER_MAX_TASKS": str(MAX_TASKS),
}
EVENTS_ON = "Events of group {task} enabled by remote"
CHANGING = sorted(
    re.sub(r"\(\.[+*]\)", "{name}", route[0])
    for route in flower_routes
    if isinstance(route, tuple) and route[0].startswith("/api/") and "post" in vars(route[1])
)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack with Flower, which has asked every worker for its events."""
    with Stack(tmp_path_factory.mktemp("watched"), environment=WATCHED, flower=True) as stack:
        wait_until(
            lambda: all(EVENTS_ON in stack.log(queue) for queue in stack.pools), "workers to be asked for events"
        )
        yield stack


@pytest.fixture(scope="module")
def gateway(watched: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=watched.url, timeout=30, **HTTP_CLIENT_OPTIONS) as client:
        yield client


@pytest.fixture(scope="module")
def flower(watched: Stack) -> Iterator[httpx.Client]:
    """A client with the credentials."""
    with httpx.Client(base_url=watched.flower_url, timeout=30, **HTTP_CLIENT_OPTIONS, auth=(USER, PASSWORD)) as client:
        yield client


@pytest.fixture(scope="module")
def task_id(gateway: httpx.Client, flower: httpx.Client) -> str:
    """A job that is done, and that Flower has seen the end of."""
    task_id = submit_photo(gateway, encode_image(photo(400, 300), "jpeg"))
    assert wait_for_end(gateway, task_id)["status"] == "done"
    wait_until(lambda: "finalize" in _succeeded(flower), "Flower to see the job's last task")
    return task_id


def _tasks(flower: httpx.Client) -> dict[str, dict[str, Any]]:
    tasks: dict[str, dict[str, Any]] = flower.get("/api/tasks").raise_for_status().json()
    return tasks


def _succeeded(flower: httpx.Client) -> list[str]:
    return sorted(task["name"] for task in _tasks(flower).values() if task["state"] == "SUCCESS")


def _info(flower: httpx.Client, task_id: str) -> dict[str, Any]:
    info: dict[str, Any] = flower.get(f"/api/task/info/{task_id}").raise_for_status().json()
    return info


def test_a_jobs_task_id_opens_its_first_task(flower: httpx.Client, task_id: str) -> None:
    info = _info(flower, task_id)

    assert (info["name"], info["state"], info["uuid"]) == ("validate", "SUCCESS", task_id)
    assert info["worker"].startswith("validate@")
    page = flower.get(f"/task/{task_id}")
    assert page.status_code == 200
    assert task_id in page.text


def test_every_task_of_a_job_has_its_id_as_root(flower: httpx.Client, task_id: str) -> None:
    tasks = [task for task in _tasks(flower).values() if task["root_id"] == task_id]

    assert sorted(task["name"] for task in tasks) == ["finalize", "normalize", "resize", "resize", "resize", "validate"]
    assert all(task_id in task["args"] for task in tasks)


def test_every_worker_is_listed(watched: Stack, flower: httpx.Client, task_id: str) -> None:  # noqa: ARG001  # it ran
    def list_workers() -> dict[str, bool]:
        workers = flower.get("/api/workers", params={"refresh": 1, "status": 1}).raise_for_status().json()
        return {name.partition("@")[0]: alive for name, alive in workers.items()}

    expected = dict.fromkeys(watched.pools, True)
    wait_until(lambda: list_workers() == expected, "each worker to answer Flower")  # it asks once, for a second


@pytest.mark.parametrize(
    "path", ["/", "/tasks", "/task/{name}", "/api/workers", "/api/tasks", "/metrics", "/static/css/flower.css", "/no"]
)
def test_nothing_is_shown_without_the_credentials(watched: Stack, task_id: str, path: str) -> None:
    url = watched.flower_url + path.format(name=task_id)

    for wrong in (None, (USER, "guess"), ("bob", PASSWORD), (USER, "pässword")):
        answer = httpx.get(url, auth=wrong, **HTTP_OPTIONS)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Basic")
        assert task_id not in answer.text


def test_prometheus_can_scrape_it(flower: httpx.Client, task_id: str) -> None:  # noqa: ARG001  # it has run
    metrics = flower.get("/metrics")

    assert re.search(r'flower_events_total{task="resize",type="task-succeeded",worker="resize@.+"} [1-9]', metrics.text)


@pytest.mark.parametrize("path", CHANGING)
def test_nobody_can_change_anything(watched: Stack, flower: httpx.Client, task_id: str, path: str) -> None:
    pids = [watched.pid("validate"), *watched.children("validate")]
    worker = _info(flower, task_id)["worker"]

    for name in (worker, task_id, "validate"):
        answer = flower.post(path.format(name=name), data={"workername": worker, "n": "1", "queue": "resize"})
        assert answer.status_code == 405

    assert [watched.pid("validate"), *watched.children("validate")] == pids


def test_there_are_routes_that_would_change_something() -> None:
    assert {"/api/worker/shutdown/{name}", "/api/task/revoke/{name}", "/api/task/send-task/{name}"} < set(CHANGING)


def test_its_pages_offer_nothing_that_is_refused(flower: httpx.Client, task_id: str) -> None:
    page = flower.get(f"/worker/{_info(flower, task_id)['worker']}")

    assert page.status_code == 200
    assert "worker-shut-down" not in page.text


def test_the_table_of_tasks_still_loads(flower: httpx.Client, task_id: str) -> None:
    asked = {"draw": 1, "start": 0, "length": 100, "order[0][column]": 0, "columns[0][data]": "name"}

    table = flower.post("/tasks/datatable", data=asked).raise_for_status().json()

    assert task_id in [row["uuid"] for row in table["data"]]


def test_what_it_saw_outlives_a_restart(watched: Stack, flower: httpx.Client, task_id: str) -> None:
    before = _info(flower, task_id)

    watched.restart_process("flower")

    assert _info(flower, task_id) == before | {"children": []}  # the links between tasks are not kept
    assert task_id in flower.get(f"/task/{task_id}").text


def test_it_remembers_the_latest_tasks_only(gateway: httpx.Client, flower: httpx.Client, task_id: str) -> None:
    greys = [
        submit_operation(gateway, "grayscale", encode_image(photo(60, 40 + n), "png"))
        for n in range(MAX_TASKS // 3 + 1)
    ]
    for grey in greys:
        wait_for_end(gateway, grey)
    last = submit_operation(
        gateway, "grayscale", encode_image(photo(), "png")
    )  # alone: in a crowd, later stages of others come after

    wait_until(lambda: last in _tasks(flower), "Flower to see the last job")
    assert len(_tasks(flower)) == MAX_TASKS
    assert flower.get(f"/api/task/info/{task_id}").status_code == 404


@pytest.fixture(scope="module")
def open_flower(watched: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of another Flower, for this machine alone, without credentials, below a prefix."""
    port, folder = free_port(), tmp_path_factory.mktemp("open")
    environment = {
        "DARKROOM_REDIS_URL": watched.redis_url,
        "DARKROOM_FLOWER_PORT": str(port),
        "DARKROOM_FLOWER_FOLDER": str(folder),
        "DARKROOM_FLOWER_URL_PREFIX": "/tools/flower",
    }
    url = f"http://127.0.0.1:{port}/tools/flower"
    with run_program(sys.executable, "-m", "pipeline.flower", environment=environment) as process:
        wait_until(lambda: flower_answers(url), "the second Flower")
        yield url
    assert process.returncode == 0


def test_below_a_prefix_every_page_finds_its_parts(open_flower: str) -> None:
    page = httpx.get(f"{open_flower}/workers", **HTTP_OPTIONS).raise_for_status()

    parts = re.findall(r'(?:href|src)="(/[^"]*\.(?:css|js)[^"]*)"', page.text)
    assert parts
    for part in parts:
        assert httpx.get(httpx.URL(open_flower).join(part), **HTTP_OPTIONS).status_code == 200


@pytest.mark.parametrize("path", CHANGING)
def test_without_credentials_too_nothing_can_be_changed(open_flower: str, path: str) -> None:
    assert httpx.post(open_flower + path.format(name="validate"), **HTTP_OPTIONS).status_code == 405


def test_without_credentials_the_api_is_closed_to_other_pages(open_flower: str) -> None:
    answer = httpx.get(f"{open_flower}/api/tasks", headers={"Origin": "http://elsewhere.example"}, **HTTP_OPTIONS)

    assert answer.status_code == 401
    assert "access-control-allow-origin" not in answer.headers
