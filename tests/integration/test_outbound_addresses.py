"""The guard's client connects to the address that was checked, and to no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.outbound.errors import OutboundError, OutboundFailed, OutboundRefused
from tests.support.outbound import Names, create_client, download, post
from tests.support.scripted_server import Connection, redirect, run_scripted_server

ALLOWED, REFUSED = "127.0.0.1", "127.0.0.2"
"""Addresses of this machine; the clients of these tests may use the first one only."""


@pytest.mark.parametrize("send", [post, download])
def test_a_name_that_changes_its_address_is_looked_up_once_and_the_checked_address_is_used(send: object) -> None:
    assert callable(send)
    names = Names(photos_example=[[ALLOWED], [REFUSED]])

    with run_scripted_server() as good, run_scripted_server(host=REFUSED, port=good.port) as bad:
        assert send(create_client(names), f"http://photos.example:{good.port}/").content == b"hello"

        assert names.asked == ["photos.example"]
        assert (good.connections, bad.connections) == (1, 0)
        assert f"host: photos.example:{good.port}\r\n".encode() in good.requests[0]


@pytest.mark.parametrize("send", [post, download])
def test_a_name_is_checked_again_at_each_request(send: object) -> None:
    assert callable(send)
    client = create_client(Names(photos_example=[[ALLOWED], [REFUSED]]))

    with run_scripted_server() as good, run_scripted_server(host=REFUSED, port=good.port) as bad:
        send(client, f"http://photos.example:{good.port}/")
        with pytest.raises(OutboundRefused):
            send(client, f"http://photos.example:{good.port}/")

        assert bad.connections == 0


@pytest.mark.parametrize("addresses", [[ALLOWED, REFUSED], [REFUSED, ALLOWED], [ALLOWED, "169.254.169.254"]])
def test_a_name_with_an_allowed_and_a_refused_address_is_connected_to_at_neither(addresses: list[str]) -> None:
    with run_scripted_server() as good, run_scripted_server(host=REFUSED, port=good.port) as bad:
        with pytest.raises(OutboundRefused):
            post(create_client(Names(photos_example=[addresses])), f"http://photos.example:{good.port}/")

        assert (good.connections, bad.connections) == (0, 0)


def test_the_next_checked_address_is_tried_if_nothing_listens_at_the_first() -> None:
    client = create_client(Names(photos_example=[[REFUSED, ALLOWED]]), allow=("127.0.0.0/8:*",))

    with run_scripted_server() as server:
        assert post(client, f"http://photos.example:{server.port}/").status == 200


def test_a_name_that_is_not_known_fails() -> None:
    with pytest.raises(OutboundFailed, match=r"^The host of the address is not known\.$"):
        post(create_client(), "http://photos.example/")


REFUSED_TARGETS = [
    "http://127.0.0.2:{port}/",
    "//127.0.0.2:{port}/",
    "http://[::ffff:127.0.0.2]:{port}/",
    "http://[64:ff9b::127.0.0.2]:{port}/",
    "http://0x7f.2:{port}/",
    "http://2130706434:{port}/",
    "http://0177.0.0.2:{port}/",
    "http://127.2:{port}/",
    "http://0.0.0.0:{port}/",
    "http://[::]:{port}/",
    "http://[::1]:{port}/",
    "http://inside.example:{port}/",
    "http://both.example:{port}/",
    "http://a@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}\\@127.0.0.2/",
    "http://169.254.169.254/latest/meta-data/",
    "http://[fd00:ec2::254]/",
    "http://10.0.0.1/",
    "http://8.8.8.8:22/",
    "file:///etc/passwd",
    "ftp://127.0.0.1:{port}/",
    "gopher://127.0.0.1:{port}/_",
    "http://",
    "http:///a",
    "http://[::1",
    "http:a",
    "http:/a",
    "/a b",
]


@pytest.mark.parametrize("location", REFUSED_TARGETS)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_a_refused_address_is_refused(location: str, status: int) -> None:
    names = Names(inside_example=[[REFUSED]], both_example=[[ALLOWED, REFUSED]])

    with run_scripted_server(host=REFUSED) as bad:
        with run_scripted_server(redirect(location.format(port=bad.port), status)) as good:
            with pytest.raises(OutboundRefused, match=r"^A redirect was refused\. "):
                download(create_client(names), good.url)
            assert good.connections == 1

        assert bad.connections == 0


@pytest.mark.parametrize("location", ["/b?c=d#e", "b", "?c=d", "//photos.example:{port}/b?c=d", "//127.0.0.1:{port}/b"])
def test_a_redirect_to_an_allowed_address_is_followed(location: str) -> None:
    def answer_or_redirect(connection: Connection) -> None:
        if connection.request.startswith(b"GET /a "):
            redirect(location.format(port=server.port))(connection)
        else:
            connection.wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")

    with run_scripted_server(answer_or_redirect) as server:
        client = create_client(Names(photos_example=[[ALLOWED]]))
        with client.get(f"{server.url}a", seconds=60, idle_seconds=60, max_redirects=1) as found:
            assert b"".join(found.chunks()) == b"hi"
            assert found.url in {
                f"http://{host}:{server.port}{path}"
                for host in (ALLOWED, "photos.example")
                for path in ("/b", "/b?c=d", "/a?c=d")
            }


@pytest.mark.parametrize("max_redirects", [0, 1, 3])
def test_no_more_redirects_are_followed_than_the_limit(max_redirects: int) -> None:
    with run_scripted_server(redirect("/again")) as server:
        with pytest.raises(OutboundRefused, match=f"more than {max_redirects} times"):
            download(create_client(), server.url, max_redirects=max_redirects)

        assert server.connections == max_redirects + 1


def test_a_redirect_to_another_server_passes_on_no_secrets() -> None:
    headers = {"Authorization": "Bearer secret", "Cookie": "a=secret", "X-Token": "secret", "Accept": "image/*"}

    with run_scripted_server() as other, run_scripted_server(redirect(other.url)) as first:
        download(create_client(), first.url, headers=headers)

    assert first.requests[0].count(b"secret") == 3
    assert b"secret" not in other.requests[0]
    assert b"\r\naccept: image/*\r\n" in other.requests[0]


@pytest.mark.parametrize("status", [300, 304, 305, 306])
def test_other_answers_with_a_location_are_not_followed(status: int) -> None:
    with run_scripted_server(redirect("http://127.0.0.2/", status)) as server:
        assert download(create_client(), server.url).status == status


def test_the_environment_sets_neither_a_proxy_nor_a_password(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login somebody password secret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))

    with run_scripted_server() as proxy, run_scripted_server() as server:
        for name in ("http_proxy", "https_proxy", "all_proxy", "ftp_proxy"):
            monkeypatch.setenv(name, proxy.url)
            monkeypatch.setenv(name.upper(), proxy.url)
        monkeypatch.setenv("NO_PROXY", "photos.example")

        post(create_client(), server.url)
        download(create_client(), server.url)
        with pytest.raises(OutboundError):
            download(
                create_client(Names(photos_example=[[ALLOWED]])), f"https://photos.example:{server.port}/", seconds=0.5
            )

        assert proxy.connections == 0
        assert b"authorization" not in server.requests[1].lower()
