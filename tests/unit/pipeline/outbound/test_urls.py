"""How addresses are taken apart: strictly, so that nobody can read one in another way."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.outbound.errors import OutboundRefused
from pipeline.outbound.urls import MAX_URL, Target, parse_url

REFUSED = [
    "",
    "/etc/passwd",
    "photos.example/a.jpg",
    "//photos.example/a.jpg",
    "http:photos.example",
    "http:/photos.example",
    "https:///",
    "http:///photos.example",
    "http://",
    "http://?a",
    "http://:80/",
    "http://photos.example:/",
    "http://photos.example:0/",
    "http://photos.example:65536/",
    "http://photos.example:8 0/",
    "http://photos.example:+80/",
    "http://photos.example:80:90/",
    "http://photos.example:\uff18\uff10/",
    "file:///etc/passwd",
    "ftp://photos.example/",
    "gopher://photos.example/",
    "data:image/png;base64,AAAA",
    "javascript:alert(1)",
    "http://user@photos.example/",
    "http://user:password@photos.example/",
    "http://photos.example@127.0.0.1/",
    "http://@photos.example/",
    "http://photos.example\\@127.0.0.1/",
    "http:\\\\photos.example/",
    "http://photos.example\\a",
    " http://photos.example/",
    "http://photos.example/ ",
    "http://photos.example /",
    "http://photos.example/a b",
    "http://photos.example/\r\nHost: other",
    "http://photos.example/\n",
    "http://photos.\texample/",
    "http://photos.example/\x00",
    "http://photos.example/\x7f",
    "http://photos.example/\x85",
    "http://photos.example/\u2028",
    "http://photos.example/\ud800",
    "http://photos\u200b.example/",
    "http://photos%2eexample/",
    "http://%6c%6fcalhost/",
    "http://127.0.0.1%2f@photos.example/",
    "http://photos..example/",
    "http://.photos.example/",
    "http://photos.example../",
    "http://./",
    "http://-photos.example/",
    "http://photos-.example/",
    "http://photos.example,other.example/",
    "http://pho*tos.example/",
    "http://photos.example;a/",
    f"http://{'a' * 64}.example/",
    f"http://{'a.' * 127}example/",
    f"http://{'ü' * 300}.example/",
    f"http://photos.example/{'a' * MAX_URL}",
    "http://2130706433/",
    "http://017700000001/",
    "http://0x7f000001/",
    "http://0X7F.1/",
    "http://0x7f.0x0.0x0.0x1/",
    "http://0177.0.0.1/",
    "http://127.1/",
    "http://127.0.1/",
    "http://127.0.0.01/",
    "http://127.0.0.0x1/",
    "http://127.0.0.1.1/",
    "http://256.0.0.1/",
    "http://1.2.3.4.5/",
    "http://photos.0x/",
    "http://photos.1/",
    "http://[::1/",
    "http://::1/",
    "http://[::1]a/",
    "http://[]/",
    "http://[::1%25lo]/",
    "http://[fe80::1%eth0]/",
    "http://[127.0.0.1]/",
    "http://[v1.a]/",
    "http://[::1]@photos.example/",
    "http://[1:2:3:4:5:6:7:8:9]/",
]


@pytest.mark.parametrize("url", REFUSED)
def test_an_address_that_can_be_read_in_two_ways_is_refused(url: str) -> None:
    with pytest.raises(OutboundRefused, match=r"^The address .*\.$"):
        parse_url(url)


@pytest.mark.parametrize(
    ("url", "host", "port", "path"),
    [
        ("https://photos.example", "photos.example", 443, "/"),
        ("HTTP://Photos.Example/A", "photos.example", 80, "/A"),
        ("https://photos.example./a", "photos.example", 443, "/a"),
        ("https://photos.example:8443/a?b=c&d#part", "photos.example", 8443, "/a?b=c&d"),
        ("https://photos.example?b", "photos.example", 443, "/?b"),
        ("https://photos.example/@a:b/?c=http://d", "photos.example", 443, "/@a:b/?c=http://d"),
        ("https://photos.example/a%20b%2f%zz", "photos.example", 443, "/a%20b%2f%zz"),
        ("https://photos.example/größe.jpg?ä", "photos.example", 443, "/gr%C3%B6%C3%9Fe.jpg?%C3%A4"),
        ("https://photos.example/../a/./b", "photos.example", 443, "/../a/./b"),
        ("https://bücher.example/", "xn--bcher-kva.example", 443, "/"),
        ("https://BÜCHER。example/", "xn--bcher-kva.example", 443, "/"),
        ("https://straße.example/", "xn--strae-oqa.example", 443, "/"),
        ("https://xn--bcher-kva.example/", "xn--bcher-kva.example", 443, "/"),
        ("https://_a.photos_1.example/", "_a.photos_1.example", 443, "/"),
        ("http://localhost:8080/", "localhost", 8080, "/"),
        ("http://hooks/", "hooks", 80, "/"),
        ("http://127.0.0.1/", ip_address("127.0.0.1"), 80, "/"),
        ("http://127.0.0.1./", ip_address("127.0.0.1"), 80, "/"),
        ("http://\uff11\uff12\uff17.0.0.1/", ip_address("127.0.0.1"), 80, "/"),
        ("http://127。0。0。1/", ip_address("127.0.0.1"), 80, "/"),
        ("http://①②⑦.⓪.⓪.①/", ip_address("127.0.0.1"), 80, "/"),
        ("http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/", "localhost", 80, "/"),
        ("http://[::1]:81/", ip_address("::1"), 81, "/"),
        ("http://[0:0:0:0:0:ffff:127.0.0.1]/", ip_address("::ffff:7f00:1"), 80, "/"),
    ],
)
def test_an_address_is_taken_apart(url: str, host: object, port: int, path: str) -> None:
    target = parse_url(url)

    assert (target.host, target.port, target.path) == (host, port, path)


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("https://photos.example:443/", "photos.example"),
        ("http://photos.example:443/", "photos.example:443"),
        ("http://[::1]:80/", "[::1]"),
        ("https://[2606:4700::1]:8443/", "[2606:4700::1]:8443"),
    ],
)
def test_the_authority_has_the_port_unless_it_is_the_scheme_s_own(url: str, authority: str) -> None:
    assert parse_url(url).authority == authority


_PIECES = st.sampled_from(
    ["http", "https", "://", "/", "\\", "@", ":", "#", "?", "[", "]", "%", ".", "。", "127", "0x7f", "::1", "a.example"]
)


@given(st.lists(st.one_of(_PIECES, st.text(max_size=4)), max_size=12).map("".join))
def test_what_is_accepted_reads_the_same_when_it_is_written_again(rest: str) -> None:
    target = _parse_or_none(f"http://{rest}")

    assert target is None or parse_url(target.url) == target


@given(st.lists(st.one_of(_PIECES, st.text(max_size=4)), max_size=12).map("".join))
def test_a_request_line_has_neither_spaces_nor_control_characters(rest: str) -> None:
    target = _parse_or_none(f"https://photos.example/{rest}")

    assert target is None or (target.url.isascii() and target.url.isprintable() and " " not in target.url)


def _parse_or_none(url: str) -> Target | None:
    try:
        return parse_url(url)
    except OutboundRefused:
        return None
