"""Uploads that are answered before they are sent, by a server that then closes the connection or reads no more."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from gateway.cli.batch import Batch
from gateway.cli.photo_search import find_photos
from gateway.cli.photos import PhotoSet, UploadRequest
from gateway.cli.plan import UploadOptions
from gateway.cli.report import Result
from gateway.client import AsyncClient, Client, Problem, RetryPolicy
from tests.integration.early_response_server import run_early_response_server
from tests.unit.gateway.test_cli_photo_upload import unseen

PHOTO_BYTES = 1_400_000
ONCE = RetryPolicy(seconds=0)
PHOTOS = 60


def test_a_refusal_is_read_though_the_connection_is_closed() -> None:
    with (
        run_early_response_server("refuse and close", retry_after=7) as server,
        Client(server.url, retry_policy=ONCE) as darkroom,
    ):
        for _ in range(20):
            with pytest.raises(Problem) as caught:
                darkroom.upload(bytes(PHOTO_BYTES))

            assert (caught.value.status, caught.value.retry_after) == (429, 7)


async def test_a_refusal_ends_the_sending_at_once() -> None:
    sent: list[int] = []
    with run_early_response_server("refuse and read no more", retry_after=7) as server:
        async with AsyncClient(server.url, retry_policy=ONCE) as darkroom:
            for _ in range(20):
                with pytest.raises(Problem) as caught:
                    await darkroom.upload(bytes(20 * PHOTO_BYTES), progress=lambda count, _: sent.append(count))

                assert (caught.value.status, caught.value.retry_after) == (429, 7)

    assert max(sent) < 20 * PHOTO_BYTES


@pytest.mark.parametrize("refusal", ["refuse and close", "close"])
async def test_sixty_photos_arrive_at_a_server_that_closes_two_of_three_connections(
    tmp_path: Path, refusal: str
) -> None:
    for number in range(PHOTOS):
        with (tmp_path / f"{number:02}.jpg").open("wb") as file:
            file.truncate(PHOTO_BYTES)
    retry_policy = RetryPolicy(seconds=60, base=0.005, cap=0.02)

    with run_early_response_server(refusal, "close", "take") as server, ExitStack() as resources:  # type: ignore[arg-type]
        photos = PhotoSet(resources, None, warn=pytest.fail).photos_from_files(
            find_photos([tmp_path], {"jpeg": "image/jpeg"}, recursive=True, out=None)
        )
        options = UploadOptions(wait=False, save=False, retry_failed=False)
        ask = UploadRequest(name="upload", fields={}, url=server.url)
        batch = Batch(photos, ask, options, bars=unseen, on_outcome=lambda _: None)
        async with AsyncClient(server.url, retry_policy=retry_policy) as darkroom:
            await batch.run(darkroom, concurrency=4, upload_bytes=None)

    assert [outcome.result for outcome in batch.outcomes] == [Result.ACCEPTED] * PHOTOS
    assert len(server.accepted_keys) == server.accepted_keys.total() == PHOTOS


async def test_a_connection_that_ends_without_an_answer_is_a_transport_error() -> None:
    with run_early_response_server("close") as server:
        async with AsyncClient(server.url, retry_policy=ONCE) as darkroom:
            with pytest.raises(httpx.TransportError):
                await darkroom.upload(bytes(PHOTO_BYTES))
