"""The guard's client and the proxy of the settings, which looks names up in its place."""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from pathlib import Path
from threading import Thread

import pytest

from pipeline.outbound.errors import OutboundFailed, OutboundRefused, OutboundTimeout
from tests.support.outbound import Names, create_client, download, post
from tests.support.redis_servers import create_certificates
from tests.support.scripted_server import Connection, Script, answer, redirect, run_scripted_server

NAMES = {"proxy_internal": [["127.0.0.1"]]}
CREDENTIALS = b"proxy-authorization: Basic dXNlcjpwYXNz"


def _tunnel_to(port: int) -> Script:
    """Connect to this port of this machine, whatever the client asks for."""

    def tunnel(connection: Connection) -> None:
        with socket.create_connection(("127.0.0.1", port)) as onward:
            connection.wire.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = Thread(target=_copy, args=(onward, connection.wire))
            back.start()
            _copy(connection.wire, onward)
            back.join()

    return tunnel


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):  # either side may be gone
        while data := source.recv(4096):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def test_a_request_of_http_goes_to_the_proxy_which_looks_its_name_up() -> None:
    names = Names(**NAMES)

    with run_scripted_server() as proxy:
        client = create_client(names, allow=(), proxy=f"http://user:pass@proxy.internal:{proxy.port}")
        assert post(client, "http://photos.example/hook?a").content == b"hello"

    assert names.asked == ["proxy.internal"]
    assert proxy.requests[0].startswith(b"POST http://photos.example/hook?a HTTP/1.1\r\nhost: photos.example\r\n")
    assert CREDENTIALS in proxy.requests[0]


def test_a_request_of_https_goes_through_a_tunnel_and_shows_the_proxy_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(create_certificates(tmp_path, "DNS:photos.example")))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    names = Names(**NAMES)

    with run_scripted_server(tls=tls) as server, run_scripted_server(_tunnel_to(server.port)) as proxy:
        client = create_client(names, allow=(), proxy=f"http://user:pass@proxy.internal:{proxy.port}")
        assert post(client, "https://photos.example/hook").content == b"hello"
        with pytest.raises(OutboundFailed, match="certificate"):
            post(client, "https://other.example/hook")

    assert set(names.asked) == {"proxy.internal"}
    assert proxy.requests[0].startswith(b"CONNECT photos.example:443 HTTP/1.1\r\nhost: photos.example:443\r\n")
    assert CREDENTIALS in proxy.requests[0]
    assert b"Bearer" not in proxy.requests[0]
    assert len(server.requests) == 1
    assert b"proxy-authorization" not in server.requests[0].lower()


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "http://10.0.0.1/",
        "http://169.254.169.254/",
        "http://[::ffff:169.254.169.254]/",
        "http://localhost/",
        "http://photos.example:22/",
        "http://0x7f.1/",
    ],
)
def test_what_shows_without_a_look_up_is_refused_before_the_proxy_is_asked(url: str) -> None:
    with run_scripted_server() as proxy:
        client = create_client(Names(**NAMES), allow=(), proxy=f"http://proxy.internal:{proxy.port}")
        with pytest.raises(OutboundRefused):
            post(client, url)

        assert proxy.connections == 0


def test_a_redirect_is_checked_with_a_proxy_too() -> None:
    with run_scripted_server(redirect("http://169.254.169.254/")) as proxy:
        client = create_client(Names(**NAMES), allow=(), proxy=f"http://proxy.internal:{proxy.port}")
        with pytest.raises(OutboundRefused):
            download(client, "http://photos.example/")

        assert proxy.connections == 1


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (answer(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"), "did not connect to the host: status 403"),
        (answer(b"HTTP/1.1 407 Authenticate\r\nContent-Length: 0\r\n\r\n"), "did not connect to the host: status 407"),
        (answer(b"HTTP/1.1 502 Bad Gateway\r\n\r\n"), "did not connect to the host: status 502"),
        (answer(b""), "ended early"),
        (answer(b"SSH-2.0\r\n\r\n"), "not valid HTTP"),
    ],
)
def test_a_tunnel_that_the_proxy_does_not_open_fails(script: Script, message: str) -> None:
    with run_scripted_server(script) as proxy:
        client = create_client(Names(**NAMES), allow=(), proxy=f"http://proxy.internal:{proxy.port}")
        with pytest.raises(OutboundFailed, match=message):
            post(client, "https://photos.example/")


def test_a_proxy_that_drips_takes_no_longer_than_the_time_for_all_of_it() -> None:
    def drip(connection: Connection) -> None:
        connection.drip(b"HTTP/1.1 200 OK\r\nX-Slow: %s\r\n\r\n" % (b"a" * 400))

    with run_scripted_server(drip) as proxy:
        client = create_client(Names(**NAMES), allow=(), proxy=f"http://proxy.internal:{proxy.port}")
        with pytest.raises(OutboundTimeout):
            post(client, "https://photos.example/", seconds=0.5)
