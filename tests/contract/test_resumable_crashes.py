"""Gateways that stop in the middle of a resumable upload, at each step: nothing is lost, and nothing is done twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, cast

import httpx
import pytest
from fastapi import FastAPI
from pymongo.errors import AutoReconnect
from redis import Redis
from structlog.typing import EventDict

from gateway.resumable.parts import PART_PREFIX
from pipeline.http_settings import AccessSettings, HttpSettings, ResumableSettings
from pipeline.settings import Settings
from storage.blobs import Blobs
from storage.documents import blob_key
from storage.resumable_uploads import UploadState
from storage.stores import Stores
from tests.contract.conftest import create_client, create_gateway
from tests.contract.http_helpers import JPEG, list_job_ids
from tests.contract.tus_helpers import BYTES, create_upload, head, patch, read_offset

PART_BYTES = 1000
When = Literal["before", "after"]


class Intercepted:
    """A store, one method of which does something else before or after its work."""

    def __init__(self, store: object, method: str, when: When) -> None:
        self._store, self._method, self._when = store, method, when
        self.is_reached = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if name != self._method:
            return found

        async def intercept(*args: Any, **options: Any) -> Any:
            result = await found(*args, **options) if self._when == "after" else None
            self.is_reached.set()
            await self.interrupt()
            return result

        return intercept

    async def interrupt(self) -> None:
        """Stop for ever, as a process that was killed: nothing that would follow happens."""
        await asyncio.Event().wait()


class Unanswered(Intercepted):
    """A database that goes away before or after its work."""

    async def interrupt(self) -> None:
        raise AutoReconnect("10.0.0.7 is away")


@pytest.fixture
def small_parts(settings: Settings) -> Settings:
    return settings.model_copy(update={"resumable": ResumableSettings(part_bytes=PART_BYTES)})


@pytest.fixture(params=["memory", "file"])
def kept(request: pytest.FixtureRequest, stores: Stores, redis: Redis, tmp_path: Any) -> Stores:  # noqa: ARG001
    """The stores that all gateways share."""
    return stores if request.param == "memory" else replace(stores, blobs=Blobs.open(tmp_path.as_uri()))


@pytest.fixture
async def other(kept: Stores, small_parts: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """Another gateway over the same stores."""
    async with create_client(create_gateway(kept, small_parts)) as http:
        yield http


def intercept(kept: Stores, point: str, kind: type[Intercepted]) -> tuple[Stores, Intercepted]:
    store, method, when = point.split(" ")
    intercepted = kind(getattr(kept, store), method, cast("When", when))
    return replace(kept, **cast("Any", {store: intercepted})), intercepted


async def finish(http: httpx.AsyncClient, path: str) -> str:
    """Go on with an upload as a client does, and return its job."""
    offset = await read_offset(http, path)
    answer = await (patch(http, path, JPEG[offset:], offset) if offset < len(JPEG) else head(http, path))
    assert answer.is_success
    return str(answer.headers["task-id"])


async def check(kept: Stores, job_id: str, *, with_parts: bool = False) -> None:
    """Check that the job is the only one, and has the right bytes, and that nothing else is kept but perhaps parts."""
    job = await kept.jobs.get(job_id)
    assert await list_job_ids() == [job_id]
    assert kept.blobs.get(job.original.blob) == JPEG
    names = [name for name in kept.blobs.list_all_names(job_id) if not (with_parts and name.startswith(PART_PREFIX))]
    assert [blob_key(job_id, name) for name in names] == [job.original.blob]
    assert (await kept.resumable_uploads.get(job_id)).state is UploadState.COMPLETE


RECORDED = "resumable_uploads complete after"
"""Parts that are left here go with the folder of the job."""
POINTS = [
    f"{step} {when}"
    for step in (
        "resumable_uploads append",
        "resumable_uploads begin_insert",
        "jobs insert",
        "resumable_uploads complete",
    )
    for when in ("before", "after")
]


@pytest.fixture
def killed_tasks() -> Iterator[list[asyncio.Task[Any]]]:
    tasks: list[asyncio.Task[Any]] = []
    yield tasks
    for task in tasks:
        task.cancel()


@pytest.mark.parametrize("point", POINTS)
async def test_a_client_goes_on_at_another_gateway_when_its_own_is_killed(
    kept: Stores, small_parts: Settings, other: httpx.AsyncClient, killed_tasks: list[asyncio.Task[Any]], point: str
) -> None:
    path = await create_upload(other)
    stores, stopped = intercept(kept, point, Intercepted)
    async with create_client(create_gateway(stores, small_parts)) as http:
        killed_tasks.append(asyncio.create_task(patch(http, path, JPEG, 0)))
        await stopped.is_reached.wait()

        job_id = await finish(other, path)

        await check(kept, job_id, with_parts=point == RECORDED)
        killed_tasks[0].cancel()


@pytest.mark.parametrize("point", POINTS)
async def test_a_client_sends_again_what_the_database_has_not_answered(
    kept: Stores, small_parts: Settings, other: httpx.AsyncClient, point: str
) -> None:
    path = await create_upload(other)
    stores, _ = intercept(kept, point, Unanswered)
    async with create_client(create_gateway(stores, small_parts)) as http:
        answer = await patch(http, path, JPEG, 0)

    assert answer.status_code == (204 if "complete" in point else 503)
    await check(kept, await finish(other, path), with_parts=point == RECORDED)


@pytest.mark.parametrize("point", ["jobs find_duplicate before", "resumable_uploads begin_insert before"])
async def test_an_attempt_that_does_not_come_to_the_insert_leaves_nothing(
    kept: Stores, small_parts: Settings, other: httpx.AsyncClient, point: str
) -> None:
    path = await create_upload(other)
    await patch(other, path, JPEG[:-1], 0)
    parts = sorted(kept.blobs.list_all_names(path.rpartition("/")[2]))
    stores, _ = intercept(kept, point, Unanswered)
    settings = small_parts.model_copy(update={"access": AccessSettings(deduplicate=True)})

    async with create_client(create_gateway(stores, settings)) as http:
        answer = await patch(http, path, JPEG[-1:], len(JPEG) - 1)

    assert answer.status_code == 503
    assert sorted(kept.blobs.list_all_names(path.rpartition("/")[2])) == parts


async def test_a_body_does_not_continue_behind_the_bytes_of_another_client(
    kept: Stores, small_parts: Settings, other: httpx.AsyncClient
) -> None:
    path = await create_upload(other)

    class Overtaken(Intercepted):
        """Another client sends the next part as soon as one is recorded."""

        async def interrupt(self) -> None:
            offset = await read_offset(other, path)
            if offset == PART_BYTES:
                await patch(other, path, JPEG[offset : offset + 700], offset)

    stores, _ = intercept(kept, "resumable_uploads append after", Overtaken)
    async with create_client(create_gateway(stores, small_parts)) as http:
        answer = await patch(http, path, JPEG, 0)

    assert (answer.status_code, answer.headers["upload-offset"]) == (409, str(PART_BYTES + 700))
    await check(kept, await finish(other, path))


async def test_of_two_last_pieces_at_the_same_time_one_makes_the_job(
    kept: Stores, small_parts: Settings, other: httpx.AsyncClient
) -> None:
    path = await create_upload(other)
    async with create_client(create_gateway(kept, small_parts)) as http:
        answers = await asyncio.gather(*(patch(each, path, JPEG, 0) for each in (http, other) * 3))

    assert {answer.status_code for answer in answers} <= {204, 409}
    await check(kept, await finish(other, path))


async def test_of_two_clients_with_other_last_bytes_one_hears_of_it(
    kept: Stores, small_parts: Settings, other: httpx.AsyncClient
) -> None:
    path = await create_upload(other)
    await patch(other, path, JPEG[:-1], 0)

    class Overtaken(Intercepted):
        """Another client's job is inserted first."""

        async def interrupt(self) -> None:
            await patch(other, path, JPEG[-1:], len(JPEG) - 1)

    stores, _ = intercept(kept, "resumable_uploads begin_insert after", Overtaken)
    async with create_client(create_gateway(stores, small_parts)) as http:
        answer = await patch(http, path, b"?", len(JPEG) - 1)

    assert (answer.status_code, answer.json()["code"]) == (409, "offset_mismatch")
    await check(kept, path.rpartition("/")[2])


async def test_an_upload_is_not_removed_while_its_job_is_inserted(
    kept: Stores, small_parts: Settings, other: httpx.AsyncClient
) -> None:
    path, removals = await create_upload(other), []

    class Removed(Intercepted):
        """A client removes the upload just before the job is inserted."""

        async def interrupt(self) -> None:
            removals.append((await other.delete(path, headers=BYTES)).status_code)

    stores, _ = intercept(kept, "resumable_uploads begin_insert after", Removed)
    async with create_client(create_gateway(stores, small_parts)) as http:
        answer = await patch(http, path, JPEG, 0)

    assert (removals, answer.status_code) == ([409], 204)
    await check(kept, path.rpartition("/")[2])


@pytest.mark.parametrize("point", ["jobs insert after", "resumable_uploads complete before", RECORDED])
async def test_an_upload_that_is_removed_when_its_job_exists_stays_removed(
    kept: Stores, small_parts: Settings, other: httpx.AsyncClient, point: str
) -> None:
    path, removals = await create_upload(other), []

    class Removed(Intercepted):
        """A client removes the upload while the answer to its last bytes is under way."""

        async def interrupt(self) -> None:
            removals.append((await other.delete(path, headers=BYTES)).status_code)

    stores, _ = intercept(kept, point, Removed)
    async with create_client(create_gateway(stores, small_parts)) as http:
        answer = await patch(http, path, JPEG, 0)

    job = await kept.jobs.get(path.rpartition("/")[2])
    assert (removals, answer.status_code, answer.headers["task-id"]) == ([204], 204, job.id)
    assert (await head(other, path)).status_code == 410
    assert [blob_key(job.id, name) for name in kept.blobs.list_all_names(job.id)] == [job.original.blob]


async def test_a_removed_upload_becomes_no_job(kept: Stores, small_parts: Settings, other: httpx.AsyncClient) -> None:
    path = await create_upload(other)

    class Removed(Intercepted):
        async def interrupt(self) -> None:
            await other.delete(path, headers=BYTES)

    stores, _ = intercept(kept, "resumable_uploads append after", Removed)
    async with create_client(create_gateway(stores, small_parts)) as http:
        answer = await patch(http, path, JPEG, 0)

    assert answer.status_code == 410
    assert (await list_job_ids(), kept.blobs.list_folders()) == ([], [])


class Removing(Blobs):
    """Blobs whose folder another request removes just before they are synced to the disk."""

    def _sync(self, key: str) -> None:
        self.remove_folder(key.partition("/")[0])
        super()._sync(key)


async def test_bytes_on_their_way_to_an_upload_that_is_removed_are_answered_so(
    stores: Stores,
    settings: Settings,
    tmp_path: Path,
    logs: list[EventDict],
    redis: Redis,  # noqa: ARG001
) -> None:
    shared = replace(stores, blobs=Removing.open(tmp_path.as_uri()))
    async with create_client(create_gateway(shared, settings)) as http:
        path = await create_upload(http)

        async def send_slowly() -> AsyncIterator[bytes]:
            yield JPEG[:1000]
            await http.delete(path, headers=BYTES)
            yield JPEG[1000:2000]

        answer = await patch(http, path, send_slowly(), 0)

    assert (answer.status_code, answer.json()["code"]) == (410, "upload_ended")
    assert [event for event in logs if event["event"] == "dependency.failed"] == []
    assert (await list_job_ids(), shared.blobs.list_folders()) == ([], [])


async def test_an_upload_whose_stored_bytes_are_lost_says_so(kept: Stores, other: httpx.AsyncClient) -> None:
    path = await create_upload(other)
    await patch(other, path, JPEG[:100], 0)
    kept.blobs.remove_folder(path.rpartition("/")[2])

    answer = await patch(other, path, JPEG[100:], 100)

    assert (answer.status_code, (await head(other, path)).status_code) == (410, 410)
    assert (await list_job_ids(), kept.blobs.list_folders()) == ([], [])


@pytest.mark.parametrize(("first_bytes", "kept_bytes"), [(4, 0), (4, 3), (2 * PART_BYTES, 0), (2 * PART_BYTES, 999)])
async def test_an_upload_of_which_a_part_is_damaged_says_so(
    stores: Stores,
    small_parts: Settings,
    tmp_path: Path,
    first_bytes: int,
    kept_bytes: int,
    redis: Redis,  # noqa: ARG001
) -> None:
    damaged = replace(stores, blobs=Blobs.open(tmp_path.as_uri()))
    async with create_client(create_gateway(damaged, small_parts)) as http:
        path = await create_upload(http)
        await patch(http, path, JPEG[:first_bytes], 0)
        for part in (tmp_path / path.rpartition("/")[2]).iterdir():
            part.write_bytes(part.read_bytes()[:kept_bytes])

        answer = await patch(http, path, JPEG[first_bytes:], first_bytes)

        assert (answer.status_code, (await head(http, path)).status_code) == (410, 410)
    assert (await list_job_ids(), damaged.blobs.list_folders()) == ([], [])


class Vanishing(httpx.ASGITransport):
    """A line that is cut behind so many bytes of a body."""

    def __init__(self, app: FastAPI, *, after: int) -> None:
        self._gateway, self._left = app, after
        super().__init__(self._serve, raise_app_exceptions=False)

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:
        async def receive_until_cut() -> Any:
            message = await receive()
            if self._left <= 0:
                return {"type": "http.disconnect"}
            body = message.get("body", b"")[: self._left]
            self._left -= len(body)
            return message | {"body": body, "more_body": True}

        await self._gateway(scope, receive_until_cut, send)


@pytest.mark.parametrize("after", [1, 999, 1000, 1001, 2500])
async def test_what_came_before_the_line_was_cut_is_kept(
    kept: Stores, small_parts: Settings, other: httpx.AsyncClient, after: int
) -> None:
    path = await create_upload(other)
    transport = Vanishing(create_gateway(kept, small_parts), after=after)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        await patch(http, path, JPEG, 0)

    assert await read_offset(other, path) == after
    await check(kept, await finish(other, path))


async def test_what_came_of_a_piece_with_a_checksum_before_the_line_was_cut_is_dropped(
    kept: Stores, small_parts: Settings, other: httpx.AsyncClient
) -> None:
    path = await create_upload(other)
    transport = Vanishing(create_gateway(kept, small_parts), after=2500)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        await patch(http, path, JPEG, 0, Upload_Checksum="sha1 qvTGHdzF6KLavt4PO0gs2a6pQ00=")

    assert (await read_offset(other, path), kept.blobs.list_folders()) == (0, [])


async def test_a_line_that_is_cut_behind_the_last_byte_makes_no_difference(
    kept: Stores, small_parts: Settings, other: httpx.AsyncClient
) -> None:
    path = await create_upload(other)
    transport = Vanishing(create_gateway(kept, small_parts), after=len(JPEG))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        await patch(http, path, JPEG, 0)

    await check(kept, await finish(other, path))


class Silent(Vanishing):
    """A line on which nothing more comes behind so many bytes of a body."""

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:
        async def receive_or_wait() -> Any:
            if self._left <= 0:
                await asyncio.Event().wait()
            message = await receive()
            body = message.get("body", b"")[: self._left]
            self._left -= len(body)
            return message | {"body": body, "more_body": True}

        await self._gateway(scope, receive_or_wait, send)


async def test_what_came_before_a_client_fell_silent_is_kept(
    kept: Stores, small_parts: Settings, other: httpx.AsyncClient
) -> None:
    path = await create_upload(other)
    impatient = small_parts.model_copy(update={"http": HttpSettings(idle_timeout=0.1)})
    transport = Silent(create_gateway(kept, impatient), after=1500)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        answer = await patch(http, path, JPEG, 0)

    assert (answer.status_code, answer.json()["code"]) == (408, "body_timeout")
    assert await read_offset(other, path) == 1500
    await check(kept, await finish(other, path))
