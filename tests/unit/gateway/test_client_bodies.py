"""The upload stream and the bodies of real clients, in chunks of any size."""

from __future__ import annotations

import pytest

from gateway.problems import TooManyFiles
from gateway.submission.upload_stream import store_upload
from stages.limits import Limits
from storage.blobs import Blobs
from tests.support.client_bodies import BUNDLES, CLIENT_BODIES, IMAGE, ClientBody
from tests.support.fakes import FakeRequest

KEY = "job/original"
every_chunk = pytest.mark.parametrize("chunk", [1, 7, 100_000])


@pytest.fixture
def blobs() -> Blobs:
    return Blobs.open("memory:///")


def request_of(sent: ClientBody, chunk: int) -> FakeRequest:
    body = sent.body
    return FakeRequest([body[i : i + chunk] for i in range(0, len(body), chunk)], sent.content_type)


@every_chunk
@pytest.mark.parametrize("sent", CLIENT_BODIES, ids=lambda sent: sent.client)
async def test_the_body_of_a_client_is_read(blobs: Blobs, sent: ClientBody, chunk: int) -> None:
    original, fields = await store_upload(request_of(sent, chunk), blobs, key=KEY, limits=Limits())

    assert original is not None
    assert (original.name, fields) == (sent.name, sent.fields)
    assert blobs.get(KEY) == IMAGE


@every_chunk
@pytest.mark.parametrize("sent", BUNDLES, ids=lambda sent: sent.client)
async def test_several_files_in_one_form_are_refused(blobs: Blobs, sent: ClientBody, chunk: int) -> None:
    with pytest.raises(TooManyFiles):
        await store_upload(request_of(sent, chunk), blobs, key=KEY, limits=Limits())
