"""Names are looked up in bounded time."""

from __future__ import annotations

import socket
from ipaddress import ip_address
from threading import Event
from typing import Any

import pytest

from pipeline.outbound.deadline import Deadline
from pipeline.outbound.errors import OutboundFailed, OutboundTimeout
from pipeline.outbound.lookup import MAX_LOOKUPS, look_up

LONG = 30.0
SHORT = 0.05
ENTRY = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", 80))


def test_each_address_comes_once_in_the_order_of_the_answer() -> None:
    v6 = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("2606:4700::1", 80, 0, 0))

    found = look_up("photos.example", 80, deadline=Deadline(LONG), resolve=lambda *_, **__: [v6, ENTRY, v6, ENTRY])

    assert found == [ip_address("2606:4700::1"), ip_address("8.8.8.8")]


def test_a_literal_address_is_not_looked_up() -> None:
    ip = ip_address("8.8.8.8")

    assert look_up(ip, 80, deadline=Deadline(LONG), resolve=pytest.fail) == [ip]


@pytest.mark.parametrize(
    "error", [socket.gaierror(-2, "unknown"), UnicodeError("label too long"), OSError(5, "resolver")]
)
def test_a_name_that_is_not_known_fails_without_details(error: Exception) -> None:
    def resolve(*_: object, **__: object) -> list[tuple[Any, ...]]:
        raise error

    with pytest.raises(OutboundFailed, match=r"^The host of the address is not known\.$"):
        look_up("photos.example", 80, deadline=Deadline(LONG), resolve=resolve)


def test_a_name_without_addresses_fails() -> None:
    with pytest.raises(OutboundFailed):
        look_up("photos.example", 80, deadline=Deadline(LONG), resolve=lambda *_, **__: [])


def test_a_look_up_that_hangs_ends_at_the_deadline_and_too_many_of_them_delay_no_one_beyond_it() -> None:
    go_on = Event()

    def hang(*_: object, **__: object) -> list[tuple[Any, ...]]:
        assert go_on.wait(LONG)
        return [ENTRY]

    try:
        for _ in range(MAX_LOOKUPS):
            with pytest.raises(OutboundTimeout):
                look_up("photos.example", 80, deadline=Deadline(SHORT), resolve=hang)
        with pytest.raises(OutboundTimeout):
            look_up("photos.example", 80, deadline=Deadline(SHORT), resolve=lambda *_, **__: [ENTRY])
    finally:
        go_on.set()

    assert look_up("photos.example", 80, deadline=Deadline(LONG), resolve=lambda *_, **__: [ENTRY])
