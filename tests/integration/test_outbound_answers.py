"""The guard's client and servers that answer badly, slowly or not at all."""

from __future__ import annotations

import gzip

import pytest

from pipeline.outbound.errors import OutboundFailed, OutboundTimeout
from pipeline.version import VERSION
from tests.support.outbound import create_client, download, post
from tests.support.scripted_server import Connection, Script, answer, redirect, run_scripted_server

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
SHORT = 0.5
NO_ANSWER = r"^The (answer ended early|answer is not valid HTTP|connection was lost)\.$"
LONG_DRIP = b"a" * 400
"""Takes 8 s at least: whoever waits for its end gets an answer and no timeout."""


def _drip_head(connection: Connection) -> None:
    connection.drip(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Slow: %s\r\n\r\n" % LONG_DRIP)


def _drip_interim_answers(connection: Connection) -> None:
    connection.drip(b"HTTP/1.1 100 Continue\r\n\r\n" * 15)
    connection.wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


def _drip_body(connection: Connection) -> None:
    connection.wire.sendall(HEAD)
    connection.drip(LONG_DRIP)


def _drip_chunks(connection: Connection) -> None:
    connection.wire.sendall(CHUNKED)
    connection.drip(b"1\r\na\r\n" * 80 + b"0\r\n\r\n")


def _never_answer(connection: Connection) -> None:
    connection.wait_for_client()


def _never_send_the_body(connection: Connection) -> None:
    connection.wire.sendall(HEAD)
    connection.wait_for_client()


SLOW_HEADS, SLOW_BODIES = [_drip_head, _drip_interim_answers, _never_answer], [_drip_body, _drip_chunks]
CUT_BODIES = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nhello",
    CHUNKED + b"5\r\nhello\r\n",
    CHUNKED + b"FFFFFFFFFFFFFFFFFFFFFFFFF\r\nhello\r\n",
    CHUNKED + b"-5\r\nhello\r\n",
]


@pytest.mark.parametrize("script", [*SLOW_HEADS, *SLOW_BODIES])
def test_a_slow_server_takes_no_longer_than_the_time_for_a_whole_download(script: Script) -> None:
    with run_scripted_server(script) as server, pytest.raises(OutboundTimeout):
        download(create_client(), server.url, seconds=SHORT)


@pytest.mark.parametrize("script", SLOW_HEADS)
def test_a_slow_server_takes_no_longer_than_the_time_for_a_whole_post(script: Script) -> None:
    with run_scripted_server(script) as server, pytest.raises(OutboundTimeout):
        post(create_client(), server.url, seconds=SHORT)


@pytest.mark.parametrize("script", [*SLOW_BODIES, *map(answer, CUT_BODIES)])
def test_a_post_has_its_answer_once_the_status_is_there(script: Script) -> None:
    with run_scripted_server(script) as server:
        assert post(create_client(), server.url, seconds=SHORT).status == 200


@pytest.mark.parametrize("script", [_never_answer, _never_send_the_body])
def test_a_silent_server_ends_a_download_before_its_time_is_over(script: Script) -> None:
    with run_scripted_server(script) as server, pytest.raises(OutboundTimeout):
        download(create_client(), server.url, seconds=200, idle_seconds=SHORT)


def test_a_server_that_redirects_and_drips_has_no_more_time_for_each_redirect() -> None:
    def drip_redirect(connection: Connection) -> None:
        connection.drip(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: /\r\n\r\n")

    with run_scripted_server(drip_redirect) as server, pytest.raises(OutboundTimeout):
        download(create_client(), server.url, seconds=2, max_redirects=10)


@pytest.mark.parametrize(
    ("data", "content"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"hello"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello and more", b"hello"),
        (b"HTTP/1.1 200 OK\r\n\r\nhello", b"hello"),
        (b"HTTP/1.0 200 OK\r\n\r\nhello", b"hello"),
        (
            CHUNKED + b"2\r\nhe\r\n3;a=b\r\nllo\r\n0\r\nA: b\r\n\r\n",
            b"hello",
        ),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", b"hi"),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", b"hi"),
        (b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nhi", b"hi"),
    ],
)
def test_an_answer_is_read_to_its_end(data: bytes, content: bytes) -> None:
    with run_scripted_server(answer(data)) as server:
        url = server.url

        assert download(create_client(), url).content == content
        assert post(create_client(), url).content == content


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello",
        pytest.param(b"HTTP/1.1 200 OK\r\nX: %s\r\n\r\n" % (b"a" * 300_000), id="a huge header field"),
        pytest.param(b"HTTP/1.1 200 OK\r\n%s\r\n" % (b"X: a\r\n" * 50_000), id="many header fields"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" * 100, id="many interim answers"),
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        b"220 smtp.example ESMTP\r\n",
        b"+PONG\r\n",
        b"\x16\x03\x01\x00\x00",
        b"hello\r\n\r\n",
    ],
)
def test_what_is_no_http_answer_fails(data: bytes) -> None:
    with run_scripted_server(answer(data)) as server:
        for send in (post, download):
            with pytest.raises(OutboundFailed, match=NO_ANSWER):
                send(create_client(), server.url)


@pytest.mark.parametrize("data", CUT_BODIES)
def test_a_download_that_is_cut_fails(data: bytes) -> None:
    with run_scripted_server(answer(data)) as server, pytest.raises(OutboundFailed, match=NO_ANSWER):
        download(create_client(), server.url)


def test_a_port_without_a_server_fails() -> None:
    with run_scripted_server() as server:
        port = server.port

    with pytest.raises(OutboundFailed, match=r"^The host cannot be connected to\.$"):
        post(create_client(), f"http://127.0.0.1:{port}/")


def test_of_a_huge_answer_no_more_is_read_than_the_limit() -> None:
    def send_for_ever(connection: Connection) -> None:
        connection.wire.sendall(b"HTTP/1.1 500 Oh\r\n\r\n")
        while True:  # until the client closes
            connection.wire.sendall(b"a" * 10_000)

    with run_scripted_server(send_for_ever) as server:
        received = post(create_client(), server.url, max_answer_bytes=12_345)

    assert (received.status, received.content) == (500, b"a" * 12_345)


def test_what_is_compressed_stays_compressed_and_is_not_asked_for() -> None:
    packed = gzip.compress(b"hello")
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)

    with run_scripted_server(answer(head + packed)) as server:
        received = download(create_client(), server.url, headers={"Accept-Encoding": "gzip"})

    assert (received.content, received.headers["content-encoding"]) == (packed, "gzip")
    assert server.requests[0].lower().count(b"accept-encoding") == 1
    assert b"\r\naccept-encoding: identity\r\n" in server.requests[0]


def test_a_redirect_of_a_post_is_an_answer() -> None:
    with run_scripted_server() as other, run_scripted_server(redirect(other.url)) as server:
        received = post(create_client(), server.url)

        assert received.status == 302
        assert other.requests == []


def test_a_request_has_the_fields_of_its_framing_and_those_of_the_caller() -> None:
    with run_scripted_server() as server:
        headers = {"Content-Length": "99", "Host": "other.example", "Transfer-Encoding": "chunked", "Webhook-Id": "a"}
        create_client().post(f"{server.url}hook?a=%20b", b"hello", headers, seconds=60, max_answer_bytes=9)

    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert body == b"hello"
    assert sorted(head.decode().split("\r\n")) == sorted(
        [
            "POST /hook?a=%20b HTTP/1.1",
            f"host: 127.0.0.1:{server.port}",
            f"user-agent: Darkroom/{VERSION}",
            "accept: */*",
            "webhook-id: a",
            "content-length: 5",
            "accept-encoding: identity",
            "connection: close",
        ]
    )


def test_an_answer_counts_although_the_server_has_not_waited_for_the_request() -> None:
    def refuse_at_once(connection: Connection) -> None:
        connection.wire.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        connection.wire.close()

    with run_scripted_server(opening=refuse_at_once) as server:
        received = post(create_client(), server.url)

    assert (received.status, received.content) == (413, b"no")
