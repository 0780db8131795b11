"""Multipart bodies with a preamble, padded boundaries or LF line ends, cut wherever a network may cut them."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.problems import MalformedForm
from gateway.submission.boundaries import MAX_HEADER_BYTES, MAX_PADDING, MAX_PREAMBLE_BYTES, BodyNormalizer
from gateway.submission.multipart import Part, parse_multipart
from tests.support.fakes import FakeRequest
from tests.support.properties import EXAMPLES

BOUNDARY = b"-edge"
FORM_TYPE = "multipart/form-data; boundary=-edge"
LOOKALIKES = [b"\r", b"\n", b"\r\n", b"--", b"-", b"---edge", b"\n---edg", b"\r\n---edgE", b"\n---edge", b" ", b"x"]
CONTENTS = (
    st.lists(st.sampled_from(LOOKALIKES) | st.binary(max_size=5), max_size=12)
    .map(b"".join)
    .filter(lambda content: not re.search(rb"\n---edge[-\s]", b"\n" + content + b"\n"))  # that is a boundary
)


def body_of(contents: list[bytes], *, end: bytes = b"\r\n", preamble: bytes = b"", padding: bytes = b"") -> bytes:
    """Write a form with a file for each content; its lines end with `end`."""
    line = b"--" + BOUNDARY
    head = b'Content-Disposition: form-data; name="file"; filename="a.jpg"'
    parts = [
        line + padding + end + head + end + b"Content-Type: image/jpeg" + end * 2 + each + end for each in contents
    ]
    return preamble + b"".join(parts) + line + b"--" + end


async def contents_of(chunks: list[bytes]) -> list[bytes]:
    """Return the content of each part; its headers are those of `body_of`."""
    contents: list[bytes] = []
    async for event in parse_multipart(FakeRequest(chunks, FORM_TYPE)):
        if isinstance(event, Part):
            assert (event.name, event.filename, event.headers["content-type"]) == ("file", "a.jpg", b"image/jpeg")
            contents.append(b"")
        elif event is not None:
            contents[-1] += event
    return contents


SHAPES = [
    {"end": b"\n"},
    {"preamble": b"This is a multi-part message in MIME format.\r\n"},
    {"preamble": b"\r\n"},
    {"preamble": b"---edge is the boundary\n", "end": b"\n"},
    {"padding": b" \t"},
    {"padding": b"  ", "end": b"\n"},
]
TRICKY = [b"\r\n--\r\n\n\x00binary\xff\r\n---edg\r\n\n-edge--\r\n-\r", b"", b"\n", b"\r"]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
async def test_a_form_is_read_wherever_it_is_cut_in_two(shape: dict[str, bytes]) -> None:
    body = body_of(TRICKY, **shape)

    wrong = [cut for cut in range(1, len(body)) if await contents_of([body[:cut], body[cut:]]) != TRICKY]

    assert wrong == []


@pytest.mark.parametrize("shape", SHAPES, ids=str)
async def test_a_form_is_read_byte_by_byte(shape: dict[str, bytes]) -> None:
    body = body_of(TRICKY, **shape)

    assert await contents_of([body[i : i + 1] for i in range(len(body))]) == TRICKY


@EXAMPLES
@example(contents=[b"\n---edgex", b"\r\n---edgex"], end=b"\n", preamble=b"", padding=b"", cuts=[5])
@given(
    contents=st.lists(CONTENTS, min_size=1, max_size=4),
    end=st.sampled_from([b"\n", b"\r\n"]),
    preamble=st.sampled_from([b"", b"\n", b"\r\n", b"a preamble\r\n", b"--\n---edg\n"]),
    padding=st.text(" \t", max_size=5).map(str.encode),
    cuts=st.lists(st.integers(0, 600), max_size=20),
)
async def test_the_bytes_of_files_stay_as_they_are(
    contents: list[bytes], end: bytes, preamble: bytes, padding: bytes, cuts: list[int]
) -> None:
    body = body_of(contents, end=end, preamble=preamble, padding=padding)
    borders = sorted({0, *(cut for cut in cuts if cut < len(body)), len(body)})

    found = await contents_of([body[start:stop] for start, stop in pairwise(borders)])

    assert found == contents


@pytest.mark.parametrize("cut", range(0, 180, 7))
async def test_a_form_with_lf_that_is_cut_short_is_refused(cut: int) -> None:
    body = body_of([b"content", b"more"], end=b"\n")

    with pytest.raises(MalformedForm):
        await contents_of([body[:cut]])


async def test_what_comes_after_the_last_boundary_is_ignored() -> None:
    body = body_of([b"content"], end=b"\n")

    assert await contents_of([body + b"x" * 10_000, b"epilogue\n---edge\n"]) == [b"content"]


async def test_a_preamble_ends_somewhere() -> None:
    with pytest.raises(MalformedForm, match="does not begin with the boundary"):
        await contents_of([body_of([b"content"], preamble=b"x" * MAX_PREAMBLE_BYTES + b"\r\n")])


async def test_padding_ends_somewhere() -> None:
    with pytest.raises(MalformedForm):
        await contents_of([body_of([b"content"], padding=b" " * (MAX_PADDING + 1), end=b"\n")])


async def test_a_header_with_lf_ends_somewhere() -> None:
    request = FakeRequest([b"---edge\nX: ", *[b"x" * 1024] * 100], FORM_TYPE)

    with pytest.raises(MalformedForm):
        [event async for event in parse_multipart(request)]

    assert request.chunks_read <= MAX_HEADER_BYTES // 1024 + 2


async def test_a_form_with_both_line_ends_says_so() -> None:
    body = body_of([b"content"]).replace(b"\r\nContent-Type", b"\nContent-Type")

    with pytest.raises(MalformedForm, match="End all lines with CRLF"):
        await contents_of([body])


@pytest.mark.parametrize(
    ("begin", "line"), [(b"---edge\n", b"a:\n"), (b"", b"---edge\n\n\n")], ids=["headers", "parts"]
)
def test_of_too_many_lines_with_lf_the_rest_is_not_looked_at(begin: bytes, line: bytes) -> None:
    body = BodyNormalizer(BOUNDARY)

    pieces = iter(body.normalize(begin + line * 20_000))
    first = [next(pieces) for _ in range(10)]

    assert sum(map(len, first)) < 200
