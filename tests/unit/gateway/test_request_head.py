"""The framing that a head gives: one length, chunked, or a refusal, whatever the headers hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.problems import MalformedRequest
from gateway.server.request_head import CHUNKED, read_framing, remove_upgrade
from tests.support.properties import EXAMPLES

HOST = (b"host", b"photos.example:8001")
names = st.sampled_from([b"host", b"content-length", b"transfer-encoding", b"x-other"])
values = st.one_of(st.sampled_from([b"5", b"chunked", b"Chunked ", b"a"]), st.binary(max_size=30))


@EXAMPLES
@given(
    st.sampled_from([b"GET", b"POST", b"PRI"]),
    st.sampled_from(["1.0", "1.1", "2.0"]),
    st.lists(st.tuples(names, values)),
)
def test_any_headers_give_a_length_or_a_refusal(
    method: bytes, version: str, headers: list[tuple[bytes, bytes]]
) -> None:
    try:
        length = read_framing(method, version, headers)
    except MalformedRequest:
        return

    lengths = [value for name, value in headers if name == b"content-length"]
    assert length == (int(lengths[0]) if lengths else CHUNKED if dict(headers).get(b"transfer-encoding") else 0)


@pytest.mark.parametrize("host", [b"localhost", b"[::1]:8001", b"127.0.0.1:8001", b"xn--bcher-kva.example", b"a_b:"])
def test_hosts_that_exist_are_taken(host: bytes) -> None:
    assert read_framing(b"GET", "1.1", [(b"host", host)]) == 0


def test_http_1_0_needs_no_host() -> None:
    assert read_framing(b"GET", "1.0", []) == 0


@pytest.mark.parametrize("length", [b"\xc2\xb2", "٣".encode(), b"1_0", b"1" * 5001])
def test_a_length_is_in_ascii_digits_and_of_this_world(length: bytes) -> None:
    with pytest.raises(MalformedRequest):
        read_framing(b"POST", "1.1", [HOST, (b"content-length", length)])


def test_only_the_offer_to_upgrade_is_taken_out_of_a_head() -> None:
    head = b"GET /upgrade: HTTP/1.1\r\nUPGRADE: h2c\r\nX-Upgrade: a\r\nUpgrade:b\r\nHost: upgrade\r\n\r\n"

    assert remove_upgrade(head) == b"GET /upgrade: HTTP/1.1\r\nX-Upgrade: a\r\nHost: upgrade\r\n\r\n"
