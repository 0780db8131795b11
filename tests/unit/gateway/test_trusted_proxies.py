"""Trusted proxies: whose headers are believed, and what they say of the client."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message, Receive, Scope, Send

from gateway.middleware.trusted_proxies import TrustedProxies, is_proxied, read_uvicorn_variable
from tests.support.properties import EXAMPLES

NETWORKS = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


async def serve(peer: str | None, *forwarded_for: bytes, scheme: bytes = b"https") -> Scope:
    """Return the request as the application sees it."""
    seen: list[Scope] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
        seen.append(scope)

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        raise AssertionError(message)

    headers = [(b"x-forwarded-for", value) for value in forwarded_for] + [(b"x-forwarded-proto", scheme)]
    scope: dict[str, Any] = {"type": "http", "scheme": "http", "client": (peer, 1234) if peer else None}
    await TrustedProxies(application, networks=NETWORKS)(scope | {"headers": headers}, receive, send)
    return seen[0]


@pytest.mark.parametrize(
    ("forwarded_for", "client"),
    [
        pytest.param([b"203.0.113.9"], "203.0.113.9", id="one proxy"),
        pytest.param([b"203.0.113.9, 10.0.0.2"], "203.0.113.9", id="two proxies"),
        pytest.param([b"203.0.113.9", b"fd00::2"], "203.0.113.9", id="two proxies, each with a header of its own"),
        pytest.param(
            [b"198.51.100.66, 203.0.113.9, 10.0.0.2"], "203.0.113.9", id="a forged address before the client's"
        ),
        pytest.param([b"203.0.113.9:50123"], "203.0.113.9", id="with a port"),
        pytest.param([b"2001:db8::7"], "2001:db8::7", id="IPv6"),
        pytest.param([b"10.0.0.3, 10.0.0.2"], "10.0.0.3", id="all trusted"),
    ],
)
async def test_the_client_is_the_first_untrusted_address_from_the_right(
    forwarded_for: list[bytes], client: str
) -> None:
    scope = await serve("10.0.0.1", *forwarded_for)

    assert (scope["client"][0], scope["scheme"], is_proxied(scope)) == (client, "https", True)


@pytest.mark.parametrize("peer", ["203.0.113.9", "2001:db8::7", "/run/gateway.sock", None])
async def test_headers_of_other_peers_are_ignored(peer: str | None) -> None:
    scope = await serve(peer, b"192.0.2.1")

    assert scope["client"] == ((peer, 1234) if peer else None)
    assert (scope["scheme"], is_proxied(scope)) == ("http", False)


@EXAMPLES
@given(
    forwarded_for=st.lists(st.binary(max_size=40) | st.from_regex(rb"\[?[0-9a-f.:]+\]?:[0-9]{0,5000}", fullmatch=True))
)
async def test_no_header_breaks_the_gateway(forwarded_for: list[bytes]) -> None:
    scope = await serve("10.0.0.1", *forwarded_for, scheme=b"".join(forwarded_for))

    assert isinstance(scope["client"][0], str)
    assert scope["scheme"] in {"http", "https", "ws", "wss"}


@pytest.mark.parametrize(
    ("value", "networks"),
    [("", []), ("10.0.0.1, fd00::/8", ["10.0.0.1/32", "fd00::/8"]), ("*", ["0.0.0.0/0", "::/0"])],
)
def test_uvicorns_own_variable_is_read(value: str, networks: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", value)

    assert [str(network) for network in read_uvicorn_variable()] == networks
