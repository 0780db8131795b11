"""Which connection ends for one too many: the one that has been idle for the longest, and no busy one."""

from __future__ import annotations

import asyncio

from gateway.server.open_connections import OpenConnections


class AbortableTransport(asyncio.Transport):
    """A transport that notes that it was aborted."""

    is_aborted = False
    unsent_bytes = 0

    def get_write_buffer_size(self) -> int:
        return self.unsent_bytes

    def abort(self) -> None:
        self.is_aborted = True


def opened(connections: OpenConnections, count: int) -> list[AbortableTransport]:
    transports = [AbortableTransport() for _ in range(count)]
    assert all([connections.add(transport) for transport in transports])  # noqa: C419  # each is added
    return transports


def aborted(transports: list[AbortableTransport]) -> list[bool]:
    return [transport.is_aborted for transport in transports]


def test_the_connection_that_is_idle_for_the_longest_ends_for_a_new_one() -> None:
    connections = OpenConnections(2)

    transports = opened(connections, 4)

    assert aborted(transports) == [True, True, False, False]


def test_a_busy_connection_does_not_end_for_a_new_one() -> None:
    connections = OpenConnections(2)
    [busy] = opened(connections, 1)
    connections.mark_busy(busy)

    transports = opened(connections, 3)

    assert aborted([busy, *transports]) == [False, True, True, False]


def test_a_connection_is_idle_from_its_last_answer_on() -> None:
    connections = OpenConnections(2)
    transports = opened(connections, 2)
    connections.mark_busy(transports[0])
    connections.mark_idle(transports[0])

    transports += opened(connections, 1)

    assert aborted(transports) == [False, True, False]


def test_an_answer_that_is_still_being_sent_is_cut_off_last() -> None:
    connections = OpenConnections(2)
    transports = opened(connections, 2)
    transports[0].unsent_bytes = 1

    transports += opened(connections, 1)
    assert aborted(transports) == [False, True, False]

    transports[2].unsent_bytes = 1
    opened(connections, 1)
    assert aborted(transports) == [True, True, False]


def test_a_new_connection_is_one_too_many_while_all_others_are_busy() -> None:
    connections = OpenConnections(2)
    transports = opened(connections, 2)
    for transport in transports:
        connections.mark_busy(transport)

    assert not connections.add(AbortableTransport())
    assert aborted(transports) == [False, False]


def test_a_connection_that_has_ended_makes_room() -> None:
    connections = OpenConnections(2)
    transports = opened(connections, 2)
    connections.mark_busy(transports[0])
    connections.remove(transports[0])
    connections.mark_idle(transports[0])

    transports += opened(connections, 1)

    assert aborted(transports) == [False, False, False]
