"""Headers that are parsed into a number, a date or a digest: every text is a value or a problem, never an error."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from gateway.byte_ranges import parse_range
from gateway.client.filenames import filename_of
from gateway.client.problem import retry_after
from gateway.client.receivers import expected_digest_of
from gateway.middleware.access_log import request_id_of
from gateway.middleware.body_limit import BodyLimit
from gateway.problems import InvalidForm, InvalidHeader, RangeNotSatisfiable
from gateway.submission.content_digest import ContentDigest
from gateway.submission.forms import ResizeForm, parse_form
from gateway.submission.multipart import Part
from gateway.whole_numbers import MAX_NUMBER, parse_whole_number
from stages.limits import Limits
from storage.documents import Job, JobState
from tests.support.fakes import FakeJobs, new_job
from tests.support.properties import EXAMPLES

TEXT = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=40)
DIGITS = st.from_regex(r"[0-9]{1,40}", fullmatch=True)
MANY_DIGITS = "1" * 5001
DATES = st.builds(
    "{}, {} {} {} {}:{}:{} {}".format,
    TEXT,
    *[DIGITS, st.sampled_from(["Jan", "feb", "x"])],
    *[DIGITS] * 4,
    TEXT | DIGITS,
)
LIMIT = 100


@EXAMPLES
@given(text=TEXT | DIGITS)
@example(text=MANY_DIGITS)
@example(text="0" * 5000 + "7")
@example(text="٣")
@example(text="²")
def test_a_whole_number_is_ascii_digits(text: str) -> None:
    number = parse_whole_number(text)

    if text.isascii() and text.isdigit():
        significant = text.lstrip("0") or "0"
        assert number == (int(significant) if len(significant) <= 18 else MAX_NUMBER)
    else:
        assert number is None


@EXAMPLES
@given(length=TEXT | DIGITS)
@example(length=MANY_DIGITS)
async def test_content_length_is_within_the_limit_or_refused(length: str) -> None:
    statuses: list[int] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
        statuses.append(200)

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        statuses.extend([message["status"]] if "status" in message else [])

    scope = {"type": "http", "path": "/upload", "headers": [(b"content-length", length.encode("latin-1"))]}
    await BodyLimit(application, limit=LIMIT)(scope, receive, send)

    is_over = length.isascii() and length.isdigit() and (len(length.lstrip("0")) > 3 or int(length) > LIMIT)
    assert statuses == [413 if is_over else 200]


@EXAMPLES
@given(header=TEXT | st.builds("bytes={}-{}".format, DIGITS | st.just(""), DIGITS | st.just("")), size=st.integers(1))
@example(header=f"bytes=0-{MANY_DIGITS}", size=5)
@example(header=f"bytes=-{MANY_DIGITS}", size=5)
@example(header=f"bytes={MANY_DIGITS}-", size=5)
def test_a_range_is_inside_the_content_or_refused(header: str, size: int) -> None:
    with suppress(RangeNotSatisfiable):
        found = parse_range(header, size)

        assert found is None or 0 <= found[0] < found[1] <= size


@pytest.fixture
async def done(jobs: FakeJobs) -> Job:
    job = new_job(state=JobState.DONE, version=7)
    await jobs.insert(job)
    return job


@pytest.mark.parametrize(
    ("last_event_id", "status"),
    [("7", 204), ("007", 204), ("6", 200), ("9" * 20, 200), ("", 200), ("-7", 200), ("\xb2", 200), (MANY_DIGITS, 422)],
)
async def test_last_event_id_is_a_version_or_ignored(
    http: httpx.AsyncClient, done: Job, last_event_id: str, status: int
) -> None:
    headers = {b"Last-Event-ID": last_event_id.encode("latin-1")}

    assert (await http.get(f"/task-status/{done.id}/events", headers=headers)).status_code == status


@pytest.mark.parametrize("wait", [MANY_DIGITS, "nan", "inf", "1e999", "-0.1", "61", "\u0663"])
async def test_a_wait_that_is_no_number_of_seconds_is_refused(http: httpx.AsyncClient, done: Job, wait: str) -> None:
    assert (await http.get(f"/task-status/{done.id}", params={"wait": wait})).status_code == 422


@EXAMPLES
@given(header=TEXT | st.from_regex(r"sha-256=:[A-Za-z0-9+/]{0,50}={0,3}:", fullmatch=True))
def test_a_content_digest_is_a_digest_or_an_invalid_header(header: str) -> None:
    with suppress(InvalidHeader):
        ContentDigest(header)


@EXAMPLES
@given(value=TEXT)
def test_a_disposition_has_a_name_or_none(value: str) -> None:
    for disposition in (value, f"form-data; name={value}", f'form-data; filename="{value}', f"x; filename*={value}"):
        part = Part({"content-disposition": disposition.encode("latin-1")})

        assert isinstance(part.name, str)
        assert part.filename is None or isinstance(part.filename, str)


@EXAMPLES
@given(value=TEXT, digits=DIGITS)
def test_a_request_id_is_safe_to_log(value: str, digits: str) -> None:
    for traceparent in (value, f"00-{digits:0>32}-{digits:0>16}-01", f"01-{digits}-{value}"):
        found = request_id_of(Headers({"traceparent": traceparent, "x-request-id": value}))

        assert found is None or (found.isascii() and found.isprintable() and len(found) <= 128)


@EXAMPLES
@given(header=TEXT | DIGITS | DATES)
@example(header=MANY_DIGITS)
@example(header="0 JAN 0 0:2147483648")
@example(header="Thu, 01 Jan 2026 00:00:00 +99999999999")
@example(header="Fri, 31 Dec 9999 23:59:59 -2359")
def test_a_retry_after_is_a_time_to_wait_or_ignored(header: str) -> None:
    seconds = retry_after(header, now=datetime(2026, 1, 1, tzinfo=UTC))

    assert seconds is None or seconds >= 0


@EXAMPLES
@given(value=TEXT)
def test_an_answer_has_a_file_name_and_a_digest_or_none(value: str) -> None:
    for header in ("content-disposition", "repr-digest", "etag"):
        headers = [(header.encode(), value.encode("latin-1"))]
        answer = httpx.Response(200, headers=headers, request=httpx.Request("GET", "http://localhost/result/x/small"))

        assert filename_of(answer)
        assert expected_digest_of(answer.headers) is None or header != "content-disposition"


@EXAMPLES
@given(width=TEXT | DIGITS | st.text(st.sampled_from("+-0123456789 ٣"), max_size=24))
@example(width="++99999")
@example(width=MANY_DIGITS)
def test_a_side_is_a_number_or_an_invalid_form(width: str) -> None:
    with suppress(InvalidForm):
        form, _ = parse_form(ResizeForm, {"width": width, "height": "1"}, Limits(), strict=False)

        assert form.width is None or 1 <= form.width <= Limits().side
