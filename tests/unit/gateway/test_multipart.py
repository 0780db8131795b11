"""Multipart bodies, cut into chunks wherever a network may cut them."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from hashlib import sha256

import pytest

from gateway.problems import DigestMismatch, InvalidHeader, MalformedForm, TooManyParts, UnsupportedMediaType
from gateway.submission.boundaries import MAX_PREAMBLE_BYTES
from gateway.submission.multipart import MAX_PARTS, Part, parse_multipart
from tests.support.fakes import BOUNDARY, FORM_TYPE, FakeRequest, form, part

CONTENT = b"\r\n--\r\n\x00binary\xff\r\n----edg\r\n--edge--\r\n-"  # all but the boundary
BODY = form(part("note", b"hello"), part("file", CONTENT, filename="cat.jpg"), part("empty", b""))


async def parts_of(
    chunks: Iterable[bytes], content_type: str | None = FORM_TYPE
) -> list[tuple[str, str | None, bytes]]:
    """Return name, file name and content of each part."""
    parts: list[tuple[str, str | None, bytes]] = []
    async for event in parse_multipart(FakeRequest(chunks, content_type)):
        if isinstance(event, Part):
            parts.append((event.name, event.filename, b""))
        elif event is not None:
            name, filename, content = parts.pop()
            parts.append((name, filename, content + event))
    return parts


def digest_of(body: bytes) -> str:
    return f"sha-256=:{b64encode(sha256(body).digest()).decode()}:"


WHOLE = [("note", None, b"hello"), ("file", "cat.jpg", CONTENT), ("empty", None, b"")]


async def test_a_form_is_read_in_one_chunk() -> None:
    assert await parts_of([BODY]) == WHOLE


async def test_a_form_is_read_wherever_it_is_cut_in_two() -> None:
    wrong = [cut for cut in range(1, len(BODY)) if await parts_of([BODY[:cut], BODY[cut:]]) != WHOLE]

    assert wrong == []


async def test_a_form_is_read_byte_by_byte() -> None:
    assert await parts_of(BODY[i : i + 1] for i in range(len(BODY))) == WHOLE


async def test_a_part_ends_before_the_next_begins() -> None:
    kinds = [
        type(event).__name__ async for event in parse_multipart(FakeRequest([form(part("a", b"1"), part("b", b"2"))]))
    ]

    assert kinds == ["Part", "bytes", "NoneType"] * 2


async def test_a_form_of_no_parts_has_no_events() -> None:
    assert await parts_of([form()]) == []


async def test_what_comes_after_the_last_boundary_is_ignored() -> None:
    assert await parts_of([BODY, b"epilogue"]) == WHOLE


async def test_a_name_in_utf8_is_read() -> None:
    assert await parts_of([form(part("file", b"x", filename="Käse.jpg"))]) == [("file", "Käse.jpg", b"x")]


async def test_a_name_that_is_not_utf8_is_read_as_well_as_can_be() -> None:
    body = form(part("file", b"x", filename="K?se.jpg")).replace(b"?", b"\xe4")

    [(_, filename, _)] = await parts_of([body])

    assert filename == "K\ufffdse.jpg"


async def test_a_file_without_a_name_is_a_file() -> None:
    assert await parts_of([form(part("file", b"x", filename=""))]) == [("file", "", b"x")]


async def test_a_header_is_known_in_any_case() -> None:
    body = form(part("note", b"x")).replace(b"Content-Disposition", b"CONTENT-disposition")

    assert await parts_of([body]) == [("note", None, b"x")]


async def test_a_part_without_a_disposition_has_no_name() -> None:
    body = form(part("note", b"x")).replace(b"Content-Disposition", b"X-Other")

    assert await parts_of([body]) == [("", None, b"x")]


async def test_a_quoted_boundary_is_read() -> None:
    assert await parts_of([BODY], 'Multipart/Form-Data; charset=utf-8; boundary="----edge"') == WHOLE


@pytest.mark.parametrize("boundary", ["", "; boundary=", f"; boundary={'x' * 300}"])
async def test_a_form_without_a_proper_boundary_is_malformed(boundary: str) -> None:
    with pytest.raises(MalformedForm):
        await parts_of([BODY], f"multipart/form-data{boundary}")


@pytest.mark.parametrize("cut", range(0, len(BODY) - len(b"--\r\n"), 7))
async def test_a_form_cut_short_is_refused(cut: int) -> None:
    with pytest.raises(MalformedForm):
        await parts_of([BODY[:cut]])


@pytest.mark.parametrize(
    "body",
    [
        b"no boundary at all",
        BODY.replace(BOUNDARY, b"----other"),
        form(part("note", b"x")).replace(b"Content-Disposition", b"Content Disposition"),
    ],
    ids=["text", "another boundary", "a header with a space"],
)
async def test_a_broken_form_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedForm):
        await parts_of([body])


@pytest.mark.parametrize("text", [b"no boundary at all", BODY.replace(BOUNDARY, b"----other")])
async def test_a_body_without_the_boundary_says_so(text: bytes) -> None:
    with pytest.raises(MalformedForm, match="does not begin with the boundary that Content-Type names"):
        await parts_of([text])


async def test_a_body_without_the_boundary_is_read_no_further() -> None:
    request = FakeRequest([b"x" * 1024] * 100)

    with pytest.raises(MalformedForm):
        [event async for event in parse_multipart(request)]

    assert request.chunks_read == MAX_PREAMBLE_BYTES // 1024


async def test_a_form_of_as_many_parts_as_allowed_is_read() -> None:
    assert len(await parts_of([form(*[part("note", b"x")] * MAX_PARTS)])) == MAX_PARTS


async def test_a_form_of_too_many_parts_is_refused() -> None:
    with pytest.raises(TooManyParts):
        await parts_of([form(*[part("note", b"x")] * (MAX_PARTS + 1))])


async def test_a_form_of_too_many_parts_is_read_no_further() -> None:
    request = FakeRequest([part("note", b"x")] * 10 * MAX_PARTS)

    with pytest.raises(TooManyParts):
        [event async for event in parse_multipart(request)]

    assert request.chunks_read == MAX_PARTS + 1


async def test_a_form_that_is_what_its_digest_says_is_read() -> None:
    request = FakeRequest([BODY[:50], BODY[50:], b"epilogue"], digest=digest_of(BODY + b"epilogue"))

    assert len([event async for event in parse_multipart(request) if isinstance(event, Part)]) == len(WHOLE)


@pytest.mark.parametrize("body", [BODY + b"x", BODY[:1] + BODY, BODY.replace(b"hello", b"jello")])
async def test_a_form_that_is_not_what_its_digest_says_is_refused(body: bytes) -> None:
    request = FakeRequest([body], digest=digest_of(BODY))

    with pytest.raises((DigestMismatch, MalformedForm)):
        [event async for event in parse_multipart(request)]


async def test_a_form_whose_digest_cannot_be_read_is_not_read() -> None:
    request = FakeRequest([BODY], digest="nonsense")

    with pytest.raises(InvalidHeader):
        [event async for event in parse_multipart(request)]

    assert request.chunks_read == 0


async def test_a_header_without_end_is_refused() -> None:
    with pytest.raises(MalformedForm):
        await parts_of([b"--%s\r\nX-Long: " % BOUNDARY, *[b"x" * 65_536] * 16])


@pytest.mark.parametrize("encoding", ["base64", "Quoted-Printable", "gzip"])
async def test_an_encoded_part_is_refused(encoding: str) -> None:
    with pytest.raises(UnsupportedMediaType, match="Content-Transfer-Encoding"):
        await parts_of([with_header(part("file", b"/9j/", filename="a.jpg"), "Content-Transfer-Encoding", encoding)])


@pytest.mark.parametrize("encoding", ["binary", "8bit", "7bit", "BINARY "])
async def test_a_part_that_only_says_that_it_is_not_encoded_is_read(encoding: str) -> None:
    body = with_header(part("file", b"x", filename="a.jpg"), "Content-Transfer-Encoding", encoding)

    assert await parts_of([body]) == [("file", "a.jpg", b"x")]


def with_header(whole: bytes, name: str, value: str) -> bytes:
    """Return a form of one part, with a header more."""
    return form(whole.replace(b"\r\n\r\n", f"\r\n{name}: {value}\r\n\r\n".encode(), 1))
