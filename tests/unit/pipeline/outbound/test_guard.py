"""What the guard lets through: by the address alone, and by the addresses of its host."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from pipeline.outbound.errors import OutboundRefused
from pipeline.outbound.guard import Guard, check_url
from pipeline.outbound.urls import parse_url
from pipeline.outbound_settings import OutboundSettings
from tests.unit.pipeline.outbound.address_table import NOT_PUBLIC, PUBLIC

NOT_ON_THE_INTERNET = "The address is not one on the Internet."


def is_accepted(url: str, *resolved: str, **settings: object) -> bool:
    """Whether the guard lets the address through, and its host with these addresses."""
    guard, target = Guard(OutboundSettings.model_validate(settings)), parse_url(url)
    try:
        guard.check_target(target)
        guard.check_resolved(target, map(ip_address, resolved))
    except OutboundRefused:
        return False
    return True


def _write_host(text: str) -> str:
    return f"[{text}]" if ":" in text else text


@pytest.mark.parametrize("text", PUBLIC)
def test_a_public_address_is_accepted_in_a_url(text: str) -> None:
    check_url(f"https://{_write_host(text)}/", OutboundSettings())


@pytest.mark.parametrize("text", NOT_PUBLIC)
def test_any_other_address_is_refused_in_a_url(text: str) -> None:
    with pytest.raises(OutboundRefused):
        check_url(f"https://{_write_host(text)}/", OutboundSettings())


@pytest.mark.parametrize("text", NOT_PUBLIC)
def test_a_name_is_refused_if_one_of_its_addresses_is(text: str) -> None:
    assert is_accepted("https://photos.example/", "8.8.8.8", "2606:4700::1111")
    assert not is_accepted("https://photos.example/", "8.8.8.8", "2606:4700::1111", text)
    assert not is_accepted("https://photos.example/", text, "8.8.8.8")


def test_a_refusal_does_not_contain_the_address_that_was_looked_up() -> None:
    with pytest.raises(OutboundRefused) as refusal:
        Guard(OutboundSettings()).check_resolved(parse_url("https://photos.example/"), [ip_address("10.1.2.3")])

    assert refusal.value.reason == NOT_ON_THE_INTERNET


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "localhost.", "a.localhost", "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ"])
def test_names_of_this_host_are_refused_without_a_look_up(host: str) -> None:
    with pytest.raises(OutboundRefused, match=NOT_ON_THE_INTERNET):
        check_url(f"https://{host}/", OutboundSettings())


@pytest.mark.parametrize("host", ["photos.example", "8.8.8.8", "[2606:4700::1]"])
def test_only_listed_ports_are_accepted(host: str) -> None:
    assert is_accepted(f"https://{host}:8443/")
    assert not is_accepted(f"https://{host}:22/")
    assert is_accepted(f"https://{host}:22/", ports=(22,))
    assert not is_accepted(f"https://{host}/", ports=(22,))


def test_only_listed_schemes_are_accepted() -> None:
    assert is_accepted("http://photos.example/")
    assert not is_accepted("http://photos.example/", schemes=("https",))
    with pytest.raises(OutboundRefused, match=r"^The address should begin with https://\.$"):
        check_url("http://photos.example/", OutboundSettings(schemes=("https",)))


@pytest.mark.parametrize(
    ("allowed", "url", "resolved"),
    [
        ("hooks.internal", "http://hooks.internal/", ["10.0.0.1", "fd00::1"]),
        ("Hooks.Internal.", "http://HOOKS.internal./", ["10.0.0.1"]),
        ("hooks.internal:9000", "http://hooks.internal:9000/", ["127.0.0.1"]),
        ("hooks.internal:*", "http://hooks.internal:9000/", ["127.0.0.1"]),
        ("hooks.internal:9000", "http://hooks.internal:9000/", ["8.8.8.8"]),
        ("localhost:3000", "http://localhost:3000/", ["127.0.0.1", "::1"]),
        ("10.1.0.0/16", "http://10.1.2.3/", []),
        ("10.1.0.0/16", "http://hooks.internal:8080/", ["10.1.2.3"]),
        ("10.1.0.0/16", "http://hooks.internal/", ["10.1.2.3", "8.8.8.8"]),
        ("10.1.0.0/16:9000", "http://hooks.internal:9000/", ["10.1.2.3"]),
        ("10.1.2.3", "http://10.1.2.3/", []),
        ("10.1.2.3:9000", "http://10.1.2.3:9000/", []),
        ("10.0.0.0/8", "http://[::ffff:10.1.2.3]/", []),
        ("127.0.0.0/8:*", "http://localhost:49152/", ["127.0.0.1"]),
        ("[::1]:9000", "http://[::1]:9000/", []),
        ("::1", "http://[::1]/", []),
        ("fd00::/8", "http://[fd12::1]/", []),
        ("[fd00::/8]:9000", "http://[fd12::1]:9000/", []),
        ("64:ff9b:1::/48", "http://[64:ff9b:1::a01:203]/", []),
        ("8.8.8.8:9000", "http://8.8.8.8:9000/", []),
        ("169.254.169.254", "http://169.254.169.254/", []),
        ("fd00:ec2::254", "http://metadata.internal/", ["fd00:ec2::254"]),
    ],
)
def test_what_is_allowed_is_accepted(allowed: str, url: str, resolved: list[str]) -> None:
    assert not is_accepted(url, *resolved)
    assert is_accepted(url, *resolved, allow=(allowed,))


@pytest.mark.parametrize(
    ("allowed", "url", "resolved"),
    [
        ("hooks.internal", "http://other.internal/", ["10.0.0.1"]),
        ("hooks.internal", "http://a.hooks.internal/", ["10.0.0.1"]),
        ("hooks.internal", "http://hooks.internal:9000/", ["10.0.0.1"]),
        ("hooks.internal:9000", "http://hooks.internal/", ["10.0.0.1"]),
        ("hooks.internal", "http://10.0.0.1/", []),
        ("hooks.internal:*", "http://hooks.internal/", ["169.254.169.254"]),
        ("hooks.internal:*", "http://hooks.internal/", ["10.0.0.1", "::ffff:169.254.169.254"]),
        ("10.1.0.0/16", "http://hooks.internal/", ["10.1.2.3", "10.2.0.1"]),
        ("10.1.0.0/16", "http://hooks.internal:9000/", ["10.1.2.3"]),
        ("10.1.0.0/16:9000", "http://hooks.internal/", ["10.1.2.3"]),
        ("10.1.0.0/16:9000", "http://hooks.internal:9000/", ["8.8.8.8"]),
        ("10.1.0.0/16:9000", "http://8.8.8.8:9000/", []),
        ("127.0.0.0/8:*", "http://[::1]/", []),
        ("0.0.0.0/0", "http://[fd00::1]/", []),
        ("0.0.0.0/0", "http://169.254.169.254/", []),
        ("169.254.0.0/16:*", "http://169.254.169.254/", []),
        ("100.64.0.0/10", "http://100.100.100.200/", []),
        ("0.0.0.0/0", "http://168.63.129.16/", []),
        ("fd00::/8", "http://[fd00:ec2::254]/", []),
        ("0.0.0.0/0", "http://[64:ff9b::169.254.169.254]/", []),
    ],
)
def test_what_is_not_exactly_allowed_is_refused(allowed: str, url: str, resolved: list[str]) -> None:
    assert not is_accepted(url, *resolved, allow=(allowed,))
