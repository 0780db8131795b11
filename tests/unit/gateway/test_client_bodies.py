"""The upload stream and the bodies of real clients, in chunks of any size."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.problems import Problem, TooManyFiles
from gateway.submission.upload_stream import store_upload
from stages.errors import StageError
from stages.limits import Limits
from storage.blobs import Blobs
from tests.support.client_bodies import BUNDLES, CLIENT_BODIES, IMAGE, ClientBody
from tests.support.fakes import FakeRequest
from tests.support.properties import EXAMPLES

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


PIECES = [
    b"",
    b"\r\n",
    b"\n",
    b"\r",
    b"--",
    b'"',
    b";",
    b"*=",
    b"=?",
    b"%",
    b"'",
    b":",
    b" ",
    b"\0",
    b"\xff",
    b"filename*=UTF-8''",
]
MUTATIONS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 3), st.sampled_from(PIECES)), min_size=1, max_size=6)


@EXAMPLES
@given(sent=st.sampled_from(CLIENT_BODIES), mutations=MUTATIONS, chunk=st.sampled_from([1, 7, 100_000]))
async def test_a_damaged_body_is_read_or_refused_with_a_reason(
    sent: ClientBody, mutations: list[tuple[float, int, bytes]], chunk: int
) -> None:
    body = sent.body
    for share, removed, piece in mutations:
        start = int(share * len(body))
        body = body[:start] + piece + body[start + removed :]
    request = FakeRequest([body[i : i + chunk] for i in range(0, len(body), chunk)], sent.content_type)

    with suppress(Problem, StageError):
        await store_upload(request, Blobs.open("memory:///"), key=KEY, limits=Limits())


@every_chunk
@pytest.mark.parametrize("sent", BUNDLES, ids=lambda sent: sent.client)
async def test_several_files_in_one_form_are_refused(blobs: Blobs, sent: ClientBody, chunk: int) -> None:
    with pytest.raises(TooManyFiles):
        await store_upload(request_of(sent, chunk), blobs, key=KEY, limits=Limits())
