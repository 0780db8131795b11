"""The guard's client speaks TLS with the host of the URL, whatever address it has connected to."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from pipeline.outbound.client import OutboundClient
from pipeline.outbound.errors import OutboundFailed, OutboundRefused, OutboundTimeout
from tests.support.outbound import Names, create_client, download, post
from tests.support.redis_servers import create_certificates
from tests.support.scripted_server import Connection, answer, redirect, run_scripted_server

NOT_VALID = r"^The certificate of the host is not valid: "


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an authority, and a certificate for photos.example, *.photos.example and 127.0.0.1."""
    folder = tmp_path_factory.mktemp("certificates")
    create_certificates(folder, "DNS:photos.example,DNS:*.photos.example,IP:127.0.0.1")
    return folder


@pytest.fixture
def asked_names() -> list[str]:
    """The names that clients have sent in the handshake."""
    return []


@pytest.fixture
def server_tls(certificates: Path, asked_names: list[str]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    context.sni_callback = lambda _sock, name, _context: asked_names.append(name)
    return context


@pytest.fixture
def client(certificates: Path, monkeypatch: pytest.MonkeyPatch) -> OutboundClient:
    """A client that trusts the authority, with names that are all 127.0.0.1 but one."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates / "ca.pem"))
    here = [["127.0.0.1"]]
    names = Names(photos_example=here, a_photos_example=here, a_b_photos_example=here, other_example=here)
    return create_client(names)


@pytest.mark.parametrize("host", ["photos.example", "PHOTOS.example.", "a.photos.example"])
def test_the_server_is_asked_for_the_name_of_the_url_and_has_a_certificate_for_it(
    host: str, client: OutboundClient, server_tls: ssl.SSLContext, asked_names: list[str]
) -> None:
    with run_scripted_server(tls=server_tls) as server:
        assert post(client, f"https://{host}:{server.port}/").content == b"hello"

    assert asked_names == [host.lower().removesuffix(".")]


def test_an_address_in_the_url_needs_a_certificate_for_it(
    client: OutboundClient, server_tls: ssl.SSLContext, asked_names: list[str]
) -> None:
    with run_scripted_server(tls=server_tls) as server:
        assert post(client, f"https://127.0.0.1:{server.port}/").content == b"hello"

    assert asked_names == [None]


@pytest.mark.parametrize("host", ["other.example", "a.b.photos.example"])
def test_a_certificate_for_another_name_is_not_enough(
    host: str, client: OutboundClient, server_tls: ssl.SSLContext
) -> None:
    with run_scripted_server(tls=server_tls) as server:
        with pytest.raises(OutboundFailed, match=NOT_VALID):
            post(client, f"https://{host}:{server.port}/")

        assert server.requests == []


def test_a_certificate_for_another_address_is_not_enough(client: OutboundClient, server_tls: ssl.SSLContext) -> None:
    elsewhere = create_client(allow=("127.0.0.2:*",))
    del client  # it has set the authority

    with run_scripted_server(host="127.0.0.2", tls=server_tls) as server:
        with pytest.raises(OutboundFailed, match=NOT_VALID):
            post(elsewhere, f"https://127.0.0.2:{server.port}/")

        assert server.requests == []


def test_a_certificate_of_an_unknown_authority_is_refused(server_tls: ssl.SSLContext) -> None:
    with run_scripted_server(tls=server_tls) as server:
        with pytest.raises(OutboundFailed, match=NOT_VALID):
            post(create_client(), f"https://127.0.0.1:{server.port}/")

        assert server.requests == []


def test_a_slow_handshake_takes_no_longer_than_the_time_for_all_of_it(client: OutboundClient) -> None:
    def drip_a_handshake(connection: Connection) -> None:
        connection.drip(b"\x16\x03\x03\x02\x00\x02\x00\x01\xfc" + b"a" * 400)

    with run_scripted_server(opening=drip_a_handshake) as server, pytest.raises(OutboundTimeout):
        post(client, f"https://127.0.0.1:{server.port}/", seconds=0.5)


def test_a_slow_answer_takes_no_longer_than_the_time_for_all_of_it(
    client: OutboundClient, server_tls: ssl.SSLContext
) -> None:
    def drip_a_body(connection: Connection) -> None:
        connection.wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n")
        connection.drip(b"a" * 400)

    with run_scripted_server(drip_a_body, tls=server_tls) as server, pytest.raises(OutboundTimeout):
        download(client, f"https://127.0.0.1:{server.port}/", seconds=1)


def test_a_server_of_another_protocol_fails(client: OutboundClient) -> None:
    with (
        run_scripted_server(opening=answer(b"220 mail.example ESMTP\r\n")) as server,
        pytest.raises(OutboundFailed, match="does not speak TLS"),
    ):
        post(client, f"https://127.0.0.1:{server.port}/")


def test_a_redirect_from_https_to_http_is_refused(client: OutboundClient, server_tls: ssl.SSLContext) -> None:
    with run_scripted_server() as other, run_scripted_server(redirect(other.url), tls=server_tls) as server:
        with pytest.raises(OutboundRefused, match="from https to http"):
            download(client, f"https://photos.example:{server.port}/")

        assert other.connections == 0


def test_a_redirect_from_http_to_https_is_followed(client: OutboundClient, server_tls: ssl.SSLContext) -> None:
    with (
        run_scripted_server(tls=server_tls) as other,
        run_scripted_server(redirect(f"https://photos.example:{other.port}/")) as server,
    ):
        assert download(client, server.url).content == b"hello"
