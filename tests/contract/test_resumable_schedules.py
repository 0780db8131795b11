"""Clients that send one resumable upload at the same time, in random pieces: one job of the right bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.types import Message

from gateway.app import create_app
from gateway.feed import Feed
from gateway.resumable.parts import MAX_SMALL_PARTS
from gateway.submission.backpressure import Backlog
from pipeline.http_settings import ResumableSettings
from pipeline.settings import Settings
from storage.blobs import Blobs
from storage.resumable_uploads import UploadState
from storage.stores import Stores
from tests.support.announcing import new_announcer
from tests.support.fakes import UNREACHABLE_URL, FakeJobs, FakeQueues, FakeStores, FakeUploads, use_broker
from tests.support.properties import EXAMPLES

SOURCE = b"\xff\xd8\xff\xe0" + bytes(range(251)) * 5
MAX_CLIENTS = 3
SETTINGS = Settings(
    redis_url="memory://",
    result_url=UNREACHABLE_URL,
    blob_url="memory:///",
    resumable=ResumableSettings(part_bytes=100),
)


@dataclass(frozen=True)
class Piece:
    """One PATCH: how much it sends in all, in chunks of which size, and whether the connection is cut behind them."""

    size: int
    chunk: int
    is_cut: bool
    pauses: int


pieces = st.builds(
    Piece, size=st.integers(1, 500), chunk=st.integers(1, 200), is_cut=st.booleans(), pauses=st.integers(0, 3)
)


@dataclass
class Answer:
    """The head of an answer."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)


async def ask(app: FastAPI, method: str, path: str, headers: dict[str, str], messages: Iterator[Message]) -> Answer:
    """Send one request, whose body comes as these messages."""
    answer, given = Answer(), headers | {"Tus-Resumable": "1.0.0", "Host": "localhost"}

    async def receive() -> Message:
        await asyncio.sleep(0)
        return next(messages)

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {name.decode(): value.decode() for name, value in message["headers"]}

    scope: dict[str, Any] = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(name.lower().encode(), value.encode()) for name, value in given.items()],
    }
    await app(scope, receive, send)
    return answer


def body(content: bytes, piece: Piece) -> Iterator[Message]:
    for start in range(0, len(content), piece.chunk):
        yield {"type": "http.request", "body": content[start : start + piece.chunk], "more_body": True}
    yield {"type": "http.disconnect"} if piece.is_cut else {"type": "http.request", "body": b"", "more_body": False}


def nothing() -> Iterator[Message]:
    yield {"type": "http.request", "body": b"", "more_body": False}


class Client:
    """Sends the upload from wherever it has come to, until it is complete."""

    def __init__(self, app: FastAPI, path: str, pieces: Sequence[Piece]) -> None:
        self._app, self._path, self._pieces = app, path, pieces
        self.job_ids: set[str] = set()

    async def run(self) -> None:
        turn = 0
        while True:
            piece, turn = self._pieces[turn % len(self._pieces)], turn + 1
            if turn > 12:  # clients that always cut each other off are none
                piece = Piece(size=len(SOURCE), chunk=300, is_cut=False, pauses=0)
            for _ in range(piece.pauses):
                await asyncio.sleep(0)
            shown = await ask(self._app, "HEAD", self._path, {}, nothing())
            offset = int(shown.headers["upload-offset"])
            if offset == len(SOURCE):
                self.job_ids.add(shown.headers["task-id"])
                return
            await self._send(offset, piece)

    async def _send(self, offset: int, piece: Piece) -> None:
        headers = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": str(offset)}
        content = SOURCE[offset : offset + piece.size]
        answer = await ask(self._app, "PATCH", self._path, headers, body(content, piece))
        assert answer.status in {204, 400, 409}
        if "task-id" in answer.headers:
            self.job_ids.add(answer.headers["task-id"])


class SlowUploads(FakeUploads):
    """Uploads of a database that takes a while, so that other requests come in between."""

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name.startswith("_"):
            return found

        async def call_slowly(*args: Any, **options: Any) -> Any:
            await asyncio.sleep(0)
            result = await found(*args, **options)
            await asyncio.sleep(0)
            return result

        return call_slowly


@pytest.fixture(scope="module")
def gateways(opened_stores: Stores) -> list[FastAPI]:  # noqa: ARG001  # it binds the documents of jobs
    """As many gateways as there are clients at most."""
    use_broker(SETTINGS)
    return [create_app(SETTINGS) for _ in range(MAX_CLIENTS)]


def open_stores(gateways: Sequence[FastAPI]) -> FakeStores:
    """Give the gateways empty stores, the same to all of them."""
    stores = FakeStores(FakeJobs(), Blobs.open("memory:///"), resumable_uploads=SlowUploads())
    for app in gateways:
        app.state.settings, app.state.stores = SETTINGS, stores
        app.state.queues, app.state.backlog = FakeQueues(), Backlog()
        app.state.feed = Feed(stores.jobs, app.state.queues)
        app.state.announcer = new_announcer(stores, SETTINGS)
    return stores


async def create_upload(app: FastAPI) -> str:
    """Create an upload and return its path."""
    created = await ask(app, "POST", "/files", {"Upload-Length": str(len(SOURCE))}, nothing())
    return created.headers["location"]


async def upload(gateways: Sequence[FastAPI], schedules: Sequence[Sequence[Piece]]) -> None:
    """Let a client run by each schedule, all on one upload, each at a gateway of its own."""
    stores = open_stores(gateways)
    path = await create_upload(gateways[0])
    clients = [Client(app, path, pieces) for app, pieces in zip(gateways, schedules, strict=False)]

    await asyncio.gather(*(client.run() for client in clients))

    [job_id] = set().union(*(client.job_ids for client in clients))
    job = await stores.jobs.get(job_id)
    page = await stores.jobs.page(owner=None, state=None, kind=None, before_id=None, limit=9)
    assert [each.id for each in page.jobs] == [job_id]
    assert stores.blobs.get(job.original.blob) == SOURCE
    found = await stores.resumable_uploads.get(job_id)
    assert (found.state, found.offset, found.parts) == (UploadState.COMPLETE, len(SOURCE), {})


@settings(EXAMPLES, max_examples=25)  # each sends some twenty requests
@given(schedules=st.lists(st.lists(pieces, min_size=1, max_size=8), min_size=2, max_size=MAX_CLIENTS))
def test_clients_that_send_at_the_same_time_make_one_job_of_the_right_bytes(
    gateways: list[FastAPI], schedules: list[list[Piece]]
) -> None:
    asyncio.run(upload(gateways, schedules))


async def test_an_upload_in_tiny_pieces_keeps_few_parts(gateways: list[FastAPI]) -> None:
    stores = open_stores(gateways)
    path = await create_upload(gateways[0])
    job_id, most = path.rpartition("/")[2], 0

    for start in range(0, len(SOURCE), 8):
        content = SOURCE[start : start + 8]
        piece = Piece(size=8, chunk=8, is_cut=False, pauses=0)
        headers = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": str(start)}
        await ask(gateways[0], "PATCH", path, headers, body(content, piece))
        most = max(most, len(stores.blobs.list_names(job_id)))

    assert most <= MAX_SMALL_PARTS + len(SOURCE) // SETTINGS.resumable.part_bytes
    assert stores.blobs.get((await stores.jobs.get(job_id)).original.blob) == SOURCE
