"""Chunked bodies: every way to send one gives the same data, and another parser reads the same."""

from __future__ import annotations

from collections.abc import Iterable

import h11
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.problems import MalformedRequest
from gateway.server.bodies import MAX_EXTRA_BYTES, MAX_LINE_BYTES, ChunkedBody
from tests.support.properties import EXAMPLES

NEXT = b"GET / HTTP/1.1\r\n"
HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"
extensions = st.sampled_from([b"", b";a", b"; a=b", b';a="b;c"'])
bodies = st.lists(st.tuples(st.binary(min_size=1, max_size=20), extensions), max_size=6)


def encode(chunks: Iterable[tuple[bytes, bytes]]) -> bytes:
    return b"".join(b"%x%s\r\n%s\r\n" % (len(data), extension, data) for data, extension in chunks) + LAST_CHUNK


def decode(pieces: Iterable[bytes]) -> tuple[bytes, bytes, bool]:
    """Return the data, what is left over, and whether the body is complete."""
    body, buffer, data = ChunkedBody(), bytearray(), b""
    for piece in pieces:
        buffer += piece
        data += body.take(buffer)
    return data, bytes(buffer), body.is_complete


def split(text: bytes, sizes: list[int]) -> Iterable[bytes]:
    start = 0
    for size in sizes:
        yield text[start : start + size]
        start += size
    yield text[start:]


@EXAMPLES
@given(bodies, st.lists(st.integers(1, 7), max_size=40))
def test_every_way_to_cut_a_body_gives_its_data_and_leaves_the_next_request(
    chunks: list[tuple[bytes, bytes]], sizes: list[int]
) -> None:
    data, rest, is_complete = decode(split(encode(chunks) + NEXT, sizes))

    assert (data, rest, is_complete) == (b"".join(data for data, _ in chunks), NEXT, True)


@EXAMPLES
@given(bodies, st.data())
@example([(b"ab", b"")], None)
def test_what_is_accepted_means_the_same_to_another_parser(chunks: list[tuple[bytes, bytes]], draw: object) -> None:
    text = bytearray(encode(chunks))
    if isinstance(draw, st.DataObject):
        position = draw.draw(st.integers(0, len(text) - 1))
        text[position : position + draw.draw(st.integers(0, 2))] = draw.draw(st.binary(max_size=3))
    try:
        data, _, is_complete = decode([bytes(text)])
    except MalformedRequest:
        return
    if is_complete:
        assert data == _decode_with_h11(bytes(text))


def _decode_with_h11(text: bytes) -> bytes:
    connection, data = h11.Connection(h11.SERVER), b""
    connection.receive_data(HEAD + text)
    while not isinstance(event := connection.next_event(), h11.EndOfMessage):
        assert event is not h11.NEED_DATA
        data += event.data if isinstance(event, h11.Data) else b""
    return data


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"1\r\na\r\n" * MAX_EXTRA_BYTES, id="tiny chunks"),
        pytest.param(b"5\r\nabcde\r\n" * MAX_EXTRA_BYTES, id="small chunks"),
        pytest.param(
            b"fffff\r\n" + b"a" * 0xFFFFF + b"\r\n0\r\n" + b"A: b\r\n" * MAX_EXTRA_BYTES, id="trailers after data"
        ),
        pytest.param(b"0\r\n" + b"A: b\r\n" * MAX_EXTRA_BYTES, id="trailers"),
        pytest.param(b"1;" + b"a" * MAX_LINE_BYTES, id="one extension"),
    ],
)
def test_bytes_around_the_data_are_bounded(text: bytes) -> None:
    with pytest.raises(MalformedRequest):
        decode([text])


@pytest.mark.parametrize("trailer", [b"\0", b"a\0: b", b"no colon", b": no name", b"a : b", b" folded", b"a: \x7f"])
def test_a_trailer_must_be_a_header_field(trailer: bytes) -> None:
    with pytest.raises(MalformedRequest):
        decode([b"0\r\nA: b\r\n" + trailer + b"\r\n\r\n"])


def test_small_chunks_with_some_data_are_no_fault() -> None:
    data, _, is_complete = decode([encode([(b"a" * 64, b"")] * MAX_EXTRA_BYTES)])

    assert (len(data), is_complete) == (64 * MAX_EXTRA_BYTES, True)
