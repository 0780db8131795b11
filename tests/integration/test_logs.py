"""Logs of a whole stack: a job's story is one grep, and no secret is told in any."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from typing import Any
from uuid import uuid4

import httpx
import pytest

from deploy.local.processes import ROOT
from deploy.local.stack import Stack
from tests.integration.api_helpers import get_status, submit_photo, upload, wait_for_all, wait_for_end, wait_until
from tests.integration.conftest import AsOwner
from tests.integration.log_lines import Line, find_log_lines, read_logs, select_events
from tests.support.http_options import HTTP_OPTIONS
from tests.support.images import encode_image, photo
from tests.support.programs import run_program

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
ORDER = [{"validate"}, {"normalize"}, {"small", "medium", "large"}, {"finalize"}]
PHOTO = encode_image(photo(), "jpeg")
NOBODY = "127.0.0.1:1"  # a port that nothing listens on
REFUSES = "never-told-to-anyone"


def _request_id() -> str:
    return f"test-{uuid4()}"


@pytest.fixture(scope="module")
def request_id() -> str:
    return _request_id()


@pytest.fixture(scope="module")
def answer(client: httpx.Client, request_id: str) -> httpx.Response:
    """The answer to an upload with an id, whose job has ended since."""
    answer = client.post("/upload", files={"file": ("p.jpg", PHOTO)}, headers={"X-Request-ID": request_id})
    assert wait_for_end(client, answer.json()["task_id"])["status"] == "done"
    return answer


@pytest.fixture(scope="module")
def lines(stack: Stack, answer: httpx.Response) -> list[Line]:
    """Every line that names the job."""
    task_id = answer.json()["task_id"]
    wait_until(
        lambda: len(select_events(find_log_lines(stack, task_id), "stage.done")) == 6, "the last line of the story"
    )
    return find_log_lines(stack, task_id)


def test_an_answer_tells_the_id_of_its_request(answer: httpx.Response, request_id: str) -> None:
    assert answer.headers["x-request-id"] == request_id


def test_the_stages_of_a_job_are_told_in_order_each_with_its_attempt(stack: Stack, lines: list[Line]) -> None:
    stages = select_events(lines, "stage.done")

    names = [line["stage"] for line in stages]
    assert [set(names[:1]), set(names[1:2]), set(names[2:5]), set(names[5:])] == ORDER
    assert {line["attempt"] for line in stages} == {1}
    assert {line["process"] for line in stages} == set(stack.pools) - {"transform"}


def test_the_gateway_tells_of_a_job_from_its_upload_on(lines: list[Line]) -> None:
    told = [line["event"] for line in lines if line["process"] == "gateway"]

    assert told[0] == "job.accepted"
    assert {"request.served", "job.dispatched"} < set(told)


def test_every_line_about_a_job_names_it_and_a_request(lines: list[Line]) -> None:
    assert all(line["task_id"] and line["request_id"] for line in lines)


def test_what_a_request_caused_is_one_grep_too(
    stack: Stack, answer: httpx.Response, request_id: str, lines: list[Line]
) -> None:
    caused = find_log_lines(stack, request_id)

    assert {line["task_id"] for line in caused} == {answer.json()["task_id"]}
    assert caused == [line for line in lines if line["request_id"] == request_id]
    assert len(caused) == len({"job.accepted", "request.served", "job.dispatched"}) + 6


def test_one_line_tells_how_an_upload_was_served(lines: list[Line], request_id: str) -> None:
    [line] = [line for line in select_events(lines, "request.served") if line["request_id"] == request_id]

    assert (line["method"], line["route"], line["status"]) == ("POST", "/upload", 202)
    assert line["bytes_in"] > len(PHOTO)


def test_an_unsafe_id_is_replaced_and_never_logged(client: httpx.Client, stack: Stack) -> None:
    unsafe = f"{_request_id()} {{event}}"

    answer = client.get("/capabilities", headers={"X-Request-ID": unsafe})

    replaced = answer.headers["x-request-id"]
    wait_until(lambda: replaced in stack.log("gateway"), "the line about the request")
    assert unsafe not in stack.log("gateway")


def test_a_request_without_an_id_has_that_of_its_trace(client: httpx.Client) -> None:
    answer = client.get("/nowhere", headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"})

    assert (answer.status_code, answer.headers["x-request-id"], answer.json()["request_id"]) == (404, TRACE, TRACE)


def test_a_request_that_fails_tells_its_id(client: httpx.Client, stack: Stack) -> None:
    answer = upload(client, b"no image at all")

    problem = answer.json()
    assert answer.headers["x-request-id"] == problem["request_id"]
    wait_until(lambda: bool(find_log_lines(stack, problem["request_id"])), "the line about the request")
    [line] = find_log_lines(stack, problem["request_id"])
    assert (line["event"], line["status"], line["code"]) == ("request.served", answer.status_code, problem["code"])


def test_probes_that_find_all_well_are_not_logged(client: httpx.Client, stack: Stack) -> None:
    request_id = _request_id()
    for path in ("/livez", "/readyz", "/metrics", "/capabilities"):
        client.get(path, headers={"X-Request-ID": request_id})

    wait_until(lambda: "/capabilities" in str(find_log_lines(stack, request_id)), "the line about the last of them")
    assert [line["route"] for line in find_log_lines(stack, request_id)] == ["/capabilities"]


def test_a_lost_child_is_told_under_its_job(client: httpx.Client, stack: Stack) -> None:
    big = encode_image(photo(3000, 2000), "jpeg")
    task_ids = [submit_photo(client, big) for _ in range(8)]
    lost: list[Line] = []

    def one_is_lost() -> bool:
        if any(get_status(client, task_id)["stages"]["normalize"]["state"] == "running" for task_id in task_ids):
            for child in stack.children("normalize"):
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
        lost[:] = [line for line in find_log_lines(stack, "WorkerLostError") if line.get("task_id") in task_ids]
        return bool(lost)

    wait_until(one_is_lost, "a child to be lost at work")

    assert {job["status"] for job in wait_for_all(client, task_ids)} == {"done"}
    assert (lost[0]["process"], lost[0]["stage"], lost[0]["level"]) == ("normalize", "normalize", "error")
    accepting = select_events(find_log_lines(stack, lost[0]["task_id"]), "job.accepted")
    assert lost[0]["request_id"] == accepting[0]["request_id"]


def test_every_line_is_json(stack: Stack, lines: list[Line]) -> None:
    assert lines
    logged = "\n".join(read_logs(stack).values()).splitlines()

    said_by_celery_itself = ("worker: ", "Restoring ")  # as it stops, past all logging
    said_by_libtiff = ("ZIPDecode: ", "LZWDecode: ", "TIFF", "_TIFF", "JPEG", "Fax")  # of damaged images, to stderr
    past_all_logging = (*said_by_celery_itself, *said_by_libtiff)
    others = [line for line in logged if line and not line.startswith(("{", *past_all_logging))]
    assert others == []


@pytest.fixture(scope="module")
def talkative(strict_stack: Stack, as_owner: AsOwner) -> Stack:
    """A stack that was told secrets, in every place for them, and some that are wrong."""
    client = as_owner("ida")
    secret = {"Idempotency-Key": f"{REFUSES}-key", "Cookie": f"session={REFUSES}", "X-API-Key": REFUSES}
    file = (f"{REFUSES}.jpg", PHOTO)
    task_id = client.post("/upload", files={"file": file}, headers=secret).raise_for_status().json()["task_id"]
    again = client.post("/upload", files={"file": file}, headers=secret)
    assert again.headers["idempotency-replayed"] == "true"
    assert client.post("/grayscale", files={"file": file}, headers=secret).status_code == 422
    client.get("/jobs", params={"cursor": REFUSES})
    for wrong in ({"Authorization": f"Bearer {REFUSES}"}, {"X-API-Key": REFUSES}, {"Authorization": REFUSES}):
        refused = httpx.get(f"{strict_stack.url}/jobs", headers=wrong, **HTTP_OPTIONS)
        assert refused.status_code == 401
    wait_for_end(client, task_id)
    last = client.get("/jobs").headers["x-request-id"]
    wait_until(lambda: last in strict_stack.log("gateway"), "the last line")
    return strict_stack


@pytest.mark.parametrize("secret", [REFUSES, "key of ida", "Bearer"])
def test_no_key_header_or_file_name_is_ever_logged(talkative: Stack, secret: str) -> None:
    logged = read_logs(talkative)

    assert "request.served" in logged["gateway"]
    assert [name for name, text in logged.items() if secret in text] == []


def _said_until(complaint: str, *command: str, **environment: str) -> str:
    """Run a process until it has complained, and return all that it said."""
    with run_program(
        sys.executable,
        "-m",
        *command,
        cwd=ROOT,
        environment=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        said = ""
        for line in process.stdout or ():
            said += line
            if complaint in line:
                process.terminate()
    return said


WORKER = ("celery", "-A", "pipeline.worker", "worker", "-Q", "validate", "--concurrency", "1", "--loglevel", "INFO")
GATEWAY = ("gateway", "--port", "0")


@pytest.mark.parametrize("log_format", ["json", "console"])
@pytest.mark.parametrize(("command", "complaint"), [(WORKER, "Cannot connect to"), (GATEWAY, "startup failed")])
def test_no_password_is_logged_by_a_process_that_cannot_reach_its_stores(
    command: tuple[str, ...], complaint: str, log_format: str
) -> None:
    stores: dict[str, Any] = {
        "DARKROOM_REDIS_URL": f"redis://joe:hunter2@{NOBODY}/0",
        "DARKROOM_MONGO_URL": f"mongodb://ann:hunter2@{NOBODY}/darkroom",
        "DARKROOM_LOG_FORMAT": log_format,
        "DARKROOM_METRICS__PORT": "0",
    }

    said = _said_until(complaint, *command, **stores)

    assert complaint in said
    assert "hunter2" not in said
