"""Bytes that no client should send: refused, or read in one way only, at the gateway and at both of its fronts."""

from __future__ import annotations

import json
import select
import socket
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from http.client import HTTPResponse
from uuid import uuid4

import httpx
import pytest

from deploy.local.stack import Stack
from tests.integration import raw_http
from tests.integration.log_lines import find_log_lines

KEY = b"Authorization: Bearer key of jay\r\n"
MAX_HEADER_BYTES = 64 * 1024
GIF = b"GIF89a\x01\0\x01\0 and then no image"


@dataclass(frozen=True)
class Answer:
    """One answer on a connection."""

    status: int
    body: bytes

    @property
    def code(self) -> str:
        return str(json.loads(self.body)["code"])


class Wire:
    """One connection, over which a test sends what it likes. `{host}`, `{path}` and `{mark}` are filled in."""

    def __init__(self, wire: socket.socket, url: str) -> None:
        self.mark = f"/smuggled-{uuid4().hex}"
        self._wire = wire
        self._stream = wire.makefile("rb")
        self._url = httpx.URL(url)

    def send(self, text: bytes, *, seconds: float = raw_http.SECONDS) -> None:
        self._wire.settimeout(seconds)
        self._wire.sendall(self.fill(text))

    def fill(self, text: bytes) -> bytes:
        values = {b"{host}": self._url.netloc, b"{path}": self._url.path.rstrip("/").encode()}
        for name, value in (values | {b"{mark}": self.mark.encode()}).items():
            text = text.replace(name, value)
        return text

    def end(self) -> None:
        self._wire.shutdown(socket.SHUT_WR)

    def wait_for_answer(self, seconds: float) -> None:
        """Return when something can be read, or the time is over."""
        select.select([self._wire], [], [], seconds)

    def answers(self) -> list[Answer]:
        """Read all answers until the server closes the connection."""
        found = []
        with suppress(ConnectionResetError):
            while self._stream.peek(1):
                found.append(_read_answer(self._stream))
        return found


class _Stream:
    """What HTTPResponse takes for a socket: it may close it, and the next answer is still read."""

    def __init__(self, stream: object) -> None:
        self._stream = stream

    def makefile(self, _: str) -> _Stream:
        return self

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)

    def close(self) -> None:
        return None


def _read_answer(stream: object) -> Answer:
    with closing(HTTPResponse(_Stream(stream))) as response:  # type: ignore[arg-type]
        response.begin()
        return Answer(response.status, response.read())


@pytest.fixture
def wire(url: str) -> Iterator[Wire]:
    with raw_http.open_socket(url) as opened:
        yield Wire(opened, url)


@pytest.fixture
def direct_wire(direct: str) -> Iterator[Wire]:
    with raw_http.open_socket(direct) as opened:
        yield Wire(opened, direct)


HOST = b"Host: {host}\r\n"
SMUGGLED = b"GET {path}{mark} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
LAST = b"GET {path}/livez HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"


def post(*headers: bytes, body: bytes = b"", method: bytes = b"POST", version: bytes = b"1.1") -> bytes:
    lines = b"".join(line + b"\r\n" for line in headers)
    return b"%s {path}/upload HTTP/%s\r\n" % (method, version) + lines + b"\r\n" + body


def chunks(*lines: bytes) -> bytes:
    return post(HOST[:-2], b"Transfer-Encoding: chunked", body=b"".join(lines))


def put(*headers: bytes, body: bytes) -> bytes:
    """Write a request that no rate limit counts, and that is answered without a look at its body."""
    return post(HOST[:-2], KEY[:-2], *headers, body=body, method=b"PUT")


BAD_FRAMING = {
    "length and chunked": post(HOST[:-2], b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    "chunked and length": post(HOST[:-2], b"Transfer-Encoding: chunked", b"Content-Length: 5", body=b"0\r\n\r\n"),
    "two lengths": post(HOST[:-2], b"Content-Length: 0", b"Content-Length: 5", body=b"12345"),
    "the same length twice": post(HOST[:-2], b"Content-Length: 5", b"Content-Length: 5", body=b"12345"),
    "a list of lengths": post(HOST[:-2], b"Content-Length: 5, 5", body=b"12345"),
    "a signed length": post(HOST[:-2], b"Content-Length: +5", body=b"12345"),
    "a negative length": post(HOST[:-2], b"Content-Length: -5", body=b"12345"),
    "a hexadecimal length": post(HOST[:-2], b"Content-Length: 0x5", body=b"12345"),
    "an empty length": post(HOST[:-2], b"Content-Length: ", body=b"12345"),
    "a length of 5,001 digits": post(HOST[:-2], b"Content-Length: 1" + b"0" * 5000),
    "an unknown coding": post(HOST[:-2], b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n"),
    "two codings": post(HOST[:-2], b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"),
    "chunked twice": post(HOST[:-2], b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    "a coding behind chunked": post(HOST[:-2], b"Transfer-Encoding: chunked, identity", body=b"0\r\n\r\n"),
    "chunked in HTTP/1.0": post(HOST[:-2], b"Transfer-Encoding: chunked", body=b"0\r\n\r\n", version=b"1.0"),
    "a folded header": post(HOST[:-2], b"X-Long: a\r\n b", b"Content-Length: 0"),
    "a folded coding": post(HOST[:-2], b"Transfer-Encoding:\r\n chunked", body=b"0\r\n\r\n"),
    "a space before the colon": post(HOST[:-2], b"Content-Length : 5", body=b"12345"),
    "a chunk size that is no number": chunks(b"x\r\n", b"abc\r\n0\r\n\r\n"),
    "a negative chunk size": chunks(b"-1\r\n", b"abc\r\n0\r\n\r\n"),
    "a chunk size with a prefix": chunks(b"0x3\r\nabc\r\n0\r\n\r\n"),
    "a chunk size of 17 digits": chunks(b"10000000000000003\r\nabc\r\n0\r\n\r\n"),
    "no chunk size": chunks(b"\r\nabc\r\n0\r\n\r\n"),
    "a chunk longer than its size": chunks(b"3\r\nabcde\r\n0\r\n\r\n"),
    "a chunk that ends with LF": chunks(b"3\r\nabc\n0\r\n\r\n"),
    "a chunk size that ends with LF": chunks(b"3\nabc\r\n0\r\n\r\n"),
}
BAD_HEADS = {
    "lines that end with LF": b"GET {path}/livez HTTP/1.1\nHost: {host}\n\n",
    "one line that ends with LF": b"GET {path}/livez HTTP/1.1\r\nHost: {host}\nX-A: b\r\n\r\n",
    "a lone CR": b"GET {path}/livez HTTP/1.1\r\nHost: {host}\r\nX-A: b\rc\r\n\r\n",
    "a NUL": b"GET {path}/livez HTTP/1.1\r\nHost: {host}\r\nX-A: b\0c\r\n\r\n",
    "two hosts": b"GET {path}/livez HTTP/1.1\r\nHost: {host}\r\nHost: {host}\r\n\r\n",
    "no host": b"GET {path}/livez HTTP/1.1\r\n\r\n",
    "an empty host": b"GET {path}/livez HTTP/1.1\r\nHost: \r\n\r\n",
    "a host with a path": b"GET {path}/livez HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "a host with a user": b"GET {path}/livez HTTP/1.1\r\nHost: a@b\r\n\r\n",
    "a method that no one knows": b"FROBNICATE {path}/livez HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "no version": b"GET {path}/livez\r\nHost: {host}\r\n\r\n",
    "the start of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a header without a colon": b"GET {path}/livez HTTP/1.1\r\nHost: {host}\r\nnothing\r\n\r\n",
    "a header without a name": b"GET {path}/livez HTTP/1.1\r\nHost: {host}\r\n: a\r\n\r\n",
}


@pytest.mark.parametrize("probe", (BAD_FRAMING | BAD_HEADS).values(), ids=(BAD_FRAMING | BAD_HEADS).keys())
def test_a_request_that_can_be_read_in_two_ways_is_refused(direct_wire: Wire, probe: bytes) -> None:
    direct_wire.send(probe + SMUGGLED)

    (answer,) = direct_wire.answers()

    assert (answer.status, answer.code) == (400, "malformed_request")


def test_a_proxy_is_not_offered(direct_wire: Wire) -> None:
    direct_wire.send(b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n" + SMUGGLED)

    (answer,) = direct_wire.answers()

    assert (answer.status, answer.code) == (501, "method_not_implemented")


@pytest.mark.parametrize("probe", BAD_FRAMING.values(), ids=BAD_FRAMING.keys())
def test_what_follows_bad_framing_is_never_run(wire: Wire, strict_stack: Stack, probe: bytes) -> None:
    wire.send(probe + SMUGGLED)
    wire.end()

    answers = wire.answers()

    assert all(answer.status in {400, 401, 413, 501} for answer in answers)
    assert not find_log_lines(strict_stack, wire.mark)


UPGRADES = {
    "anything": (b"Connection: upgrade", b"Upgrade: anything"),
    "h2c, as Java's client offers": (
        b"Connection: Upgrade, HTTP2-Settings",
        b"Upgrade: h2c",
        b"HTTP2-Settings: AAEAAEAA",
    ),
    "websocket": (
        b"Connection: keep-alive, Upgrade",
        b"Upgrade: websocket",
        b"Sec-WebSocket-Version: 13",
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ),
    "two at once": (b"connection: UPGRADE", b"UPGRADE: foo", b"upgrade: h2c"),
}


@pytest.mark.parametrize("offer", UPGRADES.values(), ids=UPGRADES.keys())
@pytest.mark.parametrize("is_chunked", [False, True], ids=["announced", "chunked"])
def test_an_upgrade_is_ignored_and_the_body_stays_a_body(
    wire: Wire, strict_stack: Stack, offer: tuple[bytes, ...], *, is_chunked: bool
) -> None:
    body = wire.fill(SMUGGLED)
    framing = b"Transfer-Encoding: chunked" if is_chunked else b"Content-Length: %d" % len(body)
    framed = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if is_chunked else body
    wire.send(put(*offer, framing, body=framed) + LAST)

    assert [answer.status for answer in wire.answers()] in ([405, 200], [405])  # answered before its body has come
    assert not find_log_lines(strict_stack, wire.mark)


def test_a_body_that_comes_later_than_its_upgrade_is_never_run(direct_wire: Wire, strict_stack: Stack) -> None:
    body = direct_wire.fill(SMUGGLED)
    form = (b"Content-Type: " + raw_http.FORM_TYPE.encode(), b"Content-Length: %d" % len(body))
    direct_wire.send(post(HOST[:-2], KEY[:-2], *UPGRADES["anything"], *form))
    direct_wire.wait_for_answer(0.5)  # a server that drops the body answers now
    direct_wire.send(body + LAST)

    assert [answer.status for answer in direct_wire.answers()] in ([400, 200], [400])
    assert not find_log_lines(strict_stack, direct_wire.mark)


def test_an_upgrade_without_a_body_is_ignored(wire: Wire) -> None:
    wire.send(b"GET {path}/livez HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n" + LAST)

    assert [answer.status for answer in wire.answers()] == [200, 200]


def test_a_form_that_comes_with_an_upgrade_is_a_job(direct_wire: Wire) -> None:
    form = raw_http.form(raw_http.part("file", GIF, b"a.gif"))
    head = (b"Connection: Upgrade", b"Upgrade: h2c", b"Content-Type: " + raw_http.FORM_TYPE.encode())
    direct_wire.send(post(HOST[:-2], KEY[:-2], *head, b"Content-Length: %d" % len(form), body=form) + LAST)

    assert [answer.status for answer in direct_wire.answers()] == [202, 200]


def test_requests_that_come_at_once_are_answered_in_order(wire: Wire) -> None:
    chunked = b"3;a=b\r\nabc\r\n0\r\nX-A: b\r\n\r\n"
    wire.send(
        LAST.replace(b"Connection: close\r\n", b"")
        + put(b"Content-Length: 3", body=b"abc")
        + put(b"Transfer-Encoding: chunked", body=chunked)
        + b"\r\n"
        + LAST
    )

    assert [answer.status for answer in wire.answers()] in ([200, 405, 405, 200], [200, 405])  # nginx ends it at a body


def test_a_request_in_single_bytes_is_answered(direct_wire: Wire) -> None:
    form = raw_http.form(raw_http.part("file", GIF, b"a.gif"))
    content_type = b"Content-Type: " + raw_http.FORM_TYPE.encode()
    framed = b"%x\r\n%s\r\n0\r\n\r\n" % (len(form), form)
    request = post(HOST[:-2], KEY[:-2], content_type, b"Transfer-Encoding: chunked", body=framed)
    for byte in direct_wire.fill(request + LAST):
        direct_wire.send(bytes([byte]))

    assert [answer.status for answer in direct_wire.answers()] == [202, 200]


def test_a_client_that_reads_no_answers_cannot_send_requests_without_end(direct_wire: Wire) -> None:
    requests = LAST.replace(b"Connection: close\r\n", b"") * 500_000  # 20 MB: more than both systems' buffers hold

    with pytest.raises(TimeoutError):
        direct_wire.send(requests, seconds=3)


HALVES = {
    "nothing": b"",
    "half a line": b"GET {path}/li",
    "half a head": b"GET {path}/livez HTTP/1.1\r\nHost: {host}\r\n",
    "half a body": post(HOST[:-2], KEY[:-2], b"Content-Length: 50", body=b"abc"),
    "half a chunk": chunks(b"50\r\nabc"),
    "no last chunk": chunks(b"3\r\nabc\r\n"),
}


@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES.keys())
def test_half_a_request_ends_with_its_connection(wire: Wire, half: bytes) -> None:
    wire.send(half)
    wire.end()

    assert all(answer.status in {400, 401, 408, 415} for answer in wire.answers())


def test_headers_without_an_end_are_refused(direct_wire: Wire) -> None:
    direct_wire.send(b"GET /livez HTTP/1.1\r\nHost: {host}\r\n")
    with suppress(OSError):  # the server has closed the connection
        for _ in range(100):
            direct_wire.send(b"X-A: " + b"a" * MAX_HEADER_BYTES + b"\r\n")

    (answer,) = direct_wire.answers()

    assert (answer.status, answer.code) == (431, "headers_too_large")


def test_headers_that_do_not_end_in_time_are_refused(direct_wire: Wire) -> None:
    direct_wire.send(b"GET /livez HTTP/1.1\r\nHost: {host}\r\n")

    (answer,) = direct_wire.answers()

    assert (answer.status, answer.code) == (408, "headers_timeout")
