"""What ends a watched folder's uploads, and what does not: a refused key, a failing gateway, a disk that is gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import httpx
import pytest

from gateway.cli.folder_watch import FolderWatch, WatchedFolder
from gateway.cli.photos import PhotoSet, UploadRequest
from gateway.cli.plan import UploadOptions
from gateway.cli.report import PhotoOutcome, Result
from gateway.client import AsyncClient, RetryPolicy
from gateway.client.models import JobStatus
from gateway.client.problem import Problem

SECONDS = 30
Answer = Callable[[httpx.Request], httpx.Response]


class NoBar:
    def show_sent(self, count: int, total: int) -> None: ...

    def show_job(self, job: JobStatus) -> None: ...

    def show_saving(self) -> None: ...


@contextmanager
def no_bar(_: object) -> Iterator[NoBar]:
    yield NoBar()


class Watch:
    """A folder that is watched, and what is reported of it."""

    def __init__(self, folder: Path, resources: ExitStack) -> None:
        self.folder, self.outcomes, self.errors = folder, list[PhotoOutcome](), list[str]()
        watched = WatchedFolder(
            folder=folder,
            extensions=frozenset({".jpg"}),
            recursive=True,
            skip=None,
            interval_seconds=0.01,
            settle_seconds=0.01,
        )
        self.watch = FolderWatch(
            watched=watched,
            photos=PhotoSet(resources, None, warn=self.errors.append),
            request=UploadRequest(name="upload", fields={}, url="http://darkroom"),
            options=UploadOptions(wait=False, save=False, retry_failed=False),
            upload_bytes=1000,
            bars=no_bar,
            on_outcome=self.outcomes.append,
            on_error=self.errors.append,
        )

    async def run(self, answer: Answer) -> None:
        transport, once = httpx.MockTransport(answer), RetryPolicy(seconds=0)
        async with AsyncClient("http://darkroom", retry_policy=once, transport=transport) as client:
            await self.watch.run(client, concurrency=1)

    @asynccontextmanager
    async def running(self, answer: Answer) -> AsyncIterator[None]:
        task = asyncio.create_task(self.run(answer))
        try:
            async with asyncio.timeout(SECONDS):
                yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def wait_for(self, condition: Callable[[], bool]) -> None:
        while not condition():  # noqa: ASYNC110  # files change, which no event tells
            await asyncio.sleep(0.01)


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    folder = tmp_path / "camera"
    folder.mkdir()
    with ExitStack() as resources:
        yield Watch(folder, resources)


def accept(request: httpx.Request) -> httpx.Response:
    task_id = request.headers["idempotency-key"]
    return httpx.Response(202, json={"task_id": task_id, "status": "accepted", "links": {}, "warnings": []})


def refuse(status: int, code: str) -> httpx.Response:
    return httpx.Response(status, json={"status": status, "code": code, "title": code, "detail": "So it is."})


async def test_a_key_that_is_not_accepted_any_more_ends_it(watch: Watch) -> None:
    (watch.folder / "cat.jpg").write_bytes(b"cat")

    with pytest.raises(Problem) as ended:
        await asyncio.wait_for(watch.run(lambda _: refuse(401, "unauthorized")), SECONDS)

    assert ended.value.code == "unauthorized"


async def test_a_photo_that_the_gateway_fails_at_does_not_hold_up_the_others(watch: Watch) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return refuse(500, "internal_error") if b"poison" in request.read() else accept(request)

    (watch.folder / "a.jpg").write_bytes(b"poison")
    async with watch.running(answer):
        await watch.wait_for(lambda: len(watch.outcomes) == 1)
        (watch.folder / "b.jpg").write_bytes(b"cat")
        await watch.wait_for(lambda: len(watch.outcomes) == 2)

    assert [outcome.result for outcome in watch.outcomes] == [Result.UNAVAILABLE, Result.ACCEPTED]


async def test_a_photo_that_is_too_large_is_refused_without_a_request(watch: Watch) -> None:
    (watch.folder / "large.jpg").write_bytes(bytes(1001))

    async with watch.running(lambda _: refuse(500, "internal_error")):
        await watch.wait_for(lambda: bool(watch.outcomes))

    assert watch.outcomes[0].code == "upload_too_large"


async def test_a_folder_that_is_gone_is_told_once_and_waited_for(watch: Watch) -> None:
    hidden = watch.folder.with_name("unmounted")
    async with watch.running(accept):
        watch.folder.rename(hidden)
        await watch.wait_for(lambda: bool(watch.errors))
        hidden.rename(watch.folder)
        (watch.folder / "cat.jpg").write_bytes(b"cat")
        await watch.wait_for(lambda: bool(watch.outcomes))

    assert [error.split(":")[0] for error in watch.errors] == [f"{watch.folder} cannot be read"]
    assert watch.outcomes[0].result is Result.ACCEPTED
