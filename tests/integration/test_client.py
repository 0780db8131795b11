"""Both clients against a running gateway: the same tests, the asynchronous one driven step by step."""

from __future__ import annotations

import asyncio
import inspect
import io
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from deploy.local.ports import free_port
from deploy.local.processes import ROOT
from deploy.local.stack import Stack
from gateway.client import AsyncClient, Client, JobCancelled, JobFailed, Problem, RetryPolicy
from tests.integration.api_helpers import freeze_process
from tests.integration.faulty_proxy import run_faulty_proxy
from tests.support.images import decode_image, encode_image, photo

QUICK = RetryPolicy(seconds=20, base=0.05, cap=0.5)
Connect = Callable[..., Client]


class Driven:
    """An AsyncClient whose methods block, so that one test serves both."""

    def __init__(self, loop: asyncio.AbstractEventLoop, client: AsyncClient) -> None:
        self._loop = loop
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return partial(self._call, getattr(self._client, name))

    def _call(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        asked = method(*args, **kwargs)
        return self._loop.run_until_complete(asked) if inspect.isawaitable(asked) else self._each(asked)

    def _each(self, items: AsyncIterator[Any]) -> Iterator[Any]:
        end = object()
        while (item := self._loop.run_until_complete(anext(items, end))) is not end:
            yield item


@pytest.fixture(params=["Client", "AsyncClient"])
def connect(request: pytest.FixtureRequest, stack: Stack) -> Iterator[Connect]:
    """Makes clients of the running gateway, or of another address."""
    loop = asyncio.new_event_loop()
    clients: list[Any] = []

    def connected(url: str = stack.url, retry_policy: RetryPolicy = QUICK, **options: Any) -> Any:
        made: Any = Client(url, retry_policy=retry_policy, **options)
        if request.param == "AsyncClient":
            made = Driven(loop, AsyncClient(url, retry_policy=retry_policy, **options))
        clients.append(made)
        return made

    yield connected
    for client in clients:
        client.close()
    loop.close()


@pytest.fixture
def darkroom(connect: Connect) -> Client:
    return connect()


def a_photo(width: int = 96) -> bytes:
    return encode_image(photo(width, 64), "jpeg")


def jobs_called(darkroom: Client, name: str) -> list[str]:
    return [job.task_id for job in darkroom.jobs(limit=50) if job.name == name]


def test_an_upload_is_followed_to_its_end_and_fetched(darkroom: Client, tmp_path: Path) -> None:
    accepted = darkroom.upload(a_photo(800), name="beach.jpg", format="webp", quality=60)
    states = list(darkroom.follow(accepted.task_id))
    job = states[-1]
    content = darkroom.result(job.task_id, "small")
    path = darkroom.save_result(job.task_id, tmp_path / "large.webp")
    named = darkroom.save_result(job.task_id, tmp_path, "small")

    assert (job.status, job.progress, job.original.name) == ("done", 1.0, "beach.jpg")
    assert all(not state.has_ended for state in states[:-1])
    assert sha256(content).hexdigest() == job.renditions["small"].sha256
    assert decode_image(content).format == "WEBP"
    assert sha256(path.read_bytes()).hexdigest() == job.renditions["large"].sha256
    assert named == tmp_path / job.renditions["small"].filename == tmp_path / "beach-small.webp"
    assert named.read_bytes() == content
    assert darkroom.status(job.task_id) == job


@pytest.mark.parametrize("kind", ["path", "text", "stream"])
def test_a_photo_is_taken_however_it_comes(darkroom: Client, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(a_photo())
    file: Any = {"path": path, "text": str(path), "stream": io.BytesIO(path.read_bytes())}[kind]
    told: list[tuple[int, int]] = []

    accepted = darkroom.upload(file, progress=lambda *progress: told.append(progress))

    size = path.stat().st_size
    assert darkroom.status(accepted.task_id).original.bytes == size
    assert told[-1] == (size, size)


def test_operations_take_a_file_or_an_earlier_job(darkroom: Client) -> None:
    crop = darkroom.crop(a_photo(), aspect="1:1")
    grey = darkroom.grayscale(source_task_id=crop.task_id)
    box = darkroom.resize(source_task_id=crop.task_id, width=10, height=20, fit="fill", format="png")
    steps = darkroom.process(source_task_id=crop.task_id, steps=["grayscale", {"resize": 20}, {"format": "png"}])

    ended = [darkroom.wait_until_ended(job.task_id, timeout=60) for job in (crop, grey, box, steps)]

    assert [job.kind for job in ended] == ["crop", "grayscale", "resize", "process"]
    assert [job.renditions["output"].width for job in ended] == [64, 96, 10, 20]
    assert decode_image(darkroom.result(box.task_id)).size == (10, 20)


def test_a_refusal_says_all_that_the_gateway_says(darkroom: Client) -> None:
    with pytest.raises(Problem) as caught:
        darkroom.crop(a_photo(), aspect="wide", quality=101)

    problem = caught.value
    assert (problem.status, problem.code) == (422, "invalid_form")
    assert {error["pointer"] for error in problem.errors} == {"/aspect", "/quality"}


def test_waiting_for_a_job_that_fails_raises_why(darkroom: Client) -> None:
    task_id = darkroom.upload(a_photo(800)[:9000]).task_id

    with pytest.raises(JobFailed, match="image_truncated") as caught:
        darkroom.wait_until_ended(task_id, timeout=60)

    assert caught.value.job == darkroom.follow_to_end(task_id) == darkroom.status(task_id)
    assert (caught.value.job.status, caught.value.code) == ("failed", "image_truncated")


def test_waiting_for_a_job_that_somebody_cancels_raises_that(darkroom: Client, stack: Stack) -> None:
    with freeze_process(stack, "validate"):
        task_id = darkroom.upload(a_photo()).task_id
        darkroom.delete(task_id)

        with pytest.raises(JobCancelled) as caught:
            darkroom.wait_until_ended(task_id, timeout=60)

    assert (caught.value.code, caught.value.job.status) == ("cancelled", "cancelled")


def test_the_result_of_a_failed_job_is_a_problem(darkroom: Client) -> None:
    job = darkroom.follow_to_end(darkroom.upload(a_photo(800)[:9000]).task_id, timeout=60)

    with pytest.raises(Problem) as caught:
        darkroom.result(job.task_id)

    assert caught.value.code == "job_failed"


@pytest.mark.parametrize(
    ("content", "status", "says", "files"),
    [(a_photo(800), 0, "", 4), (a_photo(800)[:9000], 1, "image_truncated", 1)],
    ids=["a photo", "a broken one"],
)
def test_the_example_of_the_guide_runs(
    stack: Stack, tmp_path: Path, content: bytes, status: int, says: str, files: int
) -> None:
    example = (
        (ROOT / "deploy/docs/CLIENT.md").read_text(encoding="utf-8").partition("```python\n")[2].partition("```")[0]
    )
    here, package = tmp_path / "here", tmp_path / "installed" / "darkroom_client"  # as the wheel has it
    here.mkdir()
    shutil.copytree(ROOT / "gateway/wheel", package)
    (package / "client").symlink_to(ROOT / "gateway/client")
    (here / "photo.jpg").write_bytes(content)
    environment = os.environ | {"DARKROOM_URL": stack.url, "PYTHONPATH": str(package.parent)}

    run = subprocess.run(
        [sys.executable, "-c", example], cwd=here, env=environment, capture_output=True, text=True, check=False
    )

    assert run.returncode == status
    assert says in run.stderr
    assert len(list(here.iterdir())) == files


def test_waiting_ends_when_its_time_is_over(darkroom: Client, stack: Stack) -> None:
    with freeze_process(stack, "validate"):
        accepted = darkroom.upload(a_photo())

        with pytest.raises(TimeoutError, match="still"):
            darkroom.wait_until_ended(accepted.task_id, timeout=0.3)

    assert darkroom.wait_until_ended(accepted.task_id, timeout=60).status == "done"


def test_jobs_are_listed_over_pages_from_the_youngest(darkroom: Client) -> None:
    made = [darkroom.upload(a_photo()).task_id for _ in range(3)]

    page = darkroom.job_page(limit=2)
    further = darkroom.job_page(limit=2, cursor=page.next)
    listed = [job.task_id for job in darkroom.jobs(kind="previews", limit=3)]

    assert listed == made[::-1]
    assert [job.task_id for job in page.jobs + further.jobs][:3] == made[::-1]


def test_a_job_is_removed_once(darkroom: Client) -> None:
    task_id = darkroom.wait_until_ended(darkroom.upload(a_photo()).task_id, timeout=60).task_id

    darkroom.delete(task_id)

    with pytest.raises(Problem, match="job_not_found"):
        darkroom.status(task_id)
    with pytest.raises(Problem, match="job_not_found"):
        darkroom.delete(task_id)


def test_only_a_dead_job_is_tried_again(darkroom: Client) -> None:
    task_id = darkroom.wait_until_ended(darkroom.upload(a_photo()).task_id, timeout=60).task_id

    with pytest.raises(Problem) as caught:
        darkroom.retry(task_id)

    assert caught.value.code == "not_retryable"


def test_limits_and_health_are_told(darkroom: Client) -> None:
    assert darkroom.capabilities().limits["upload_bytes"] == 25 * 1024 * 1024
    assert darkroom.health().accepts_uploads
    assert set(darkroom.health().checks) == {"mongo", "blobs", "redis", "disk"}


def test_a_busy_gateway_is_asked_again_under_one_key(connect: Connect, stack: Stack) -> None:
    notices: list[float] = []
    retry_policy = RetryPolicy(seconds=20, on_retry=lambda _, pause: notices.append(pause))
    with run_faulty_proxy(stack.url, "/upload", "busy", "busy") as server:
        accepted = connect(server.url, retry_policy).upload(a_photo())

    assert accepted.task_id
    assert len(server.keys) == 3
    assert len(set(server.keys)) == 1
    assert all(pause >= 1 for pause in notices)
    assert len(notices) == 2


def test_an_upload_whose_answer_was_lost_makes_one_job(connect: Connect, stack: Stack) -> None:
    name = f"{uuid4()}.jpg"
    with run_faulty_proxy(stack.url, "/upload", "lose the answer", "lose the answer") as server:
        accepted = connect(server.url).upload(a_photo(), name=name)

    assert len(server.keys) == 3
    assert jobs_called(connect(), name) == [accepted.task_id]


def test_a_removal_whose_answer_was_lost_is_not_repeated(connect: Connect, stack: Stack) -> None:
    task_id = connect().upload(a_photo()).task_id
    with run_faulty_proxy(stack.url, "/jobs/", "lose the answer") as server, pytest.raises(httpx.TransportError):
        connect(server.url).delete(task_id)

    assert len(server.keys) == 1


@pytest.mark.parametrize("fault", ["change a byte", "cut the answer"])
def test_a_result_that_came_wrong_is_fetched_again(connect: Connect, stack: Stack, tmp_path: Path, fault: Any) -> None:
    job = connect().wait_until_ended(connect().upload(a_photo()).task_id, timeout=60)
    with run_faulty_proxy(stack.url, "/result/", fault, "forward", fault) as server:
        content = connect(server.url).result(job.task_id, "small")
        path = connect(server.url).save_result(job.task_id, tmp_path / "small.jpg", "small")

    assert sha256(content).hexdigest() == job.renditions["small"].sha256
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_nobody_there_is_a_transport_error_once_patience_ends(connect: Connect) -> None:
    retry_policy = RetryPolicy(seconds=0.3, base=0.05)

    with pytest.raises(httpx.ConnectError):
        connect(f"http://127.0.0.1:{free_port()}", retry_policy).capabilities()
