"""Bodies are received in large pieces, however small the packets are in which they come."""

from __future__ import annotations

import asyncio

from gateway.server.body_pieces import PIECE_BYTES, BodyPieces

LONG = 60.0


def create_pieces(ready: list[bool], *, seconds: float = LONG) -> BodyPieces:
    return BodyPieces(lambda: ready.append(True), asyncio.get_running_loop(), seconds=seconds)


async def test_small_pieces_wait_for_more() -> None:
    ready: list[bool] = []
    pieces = create_pieces(ready)

    for _ in range(10):
        pieces.append(b"ab")

    assert (ready, pieces.are_enough, pieces.take()) == ([], False, b"ab" * 10)


async def test_many_bytes_are_received_at_once() -> None:
    ready: list[bool] = []
    pieces = create_pieces(ready)

    pieces.append(b"a")
    pieces.append(bytes(PIECE_BYTES))

    assert (ready, pieces.are_enough) == ([True], True)


async def test_bytes_of_a_client_that_pauses_are_received() -> None:
    is_ready = asyncio.Event()
    pieces = BodyPieces(is_ready.set, asyncio.get_running_loop(), seconds=0.01)

    pieces.append(b"a")
    await asyncio.wait_for(is_ready.wait(), LONG)

    assert (bool(pieces), pieces.take(), bool(pieces)) == (True, b"a", False)


async def test_what_comes_at_once_is_not_copied() -> None:
    pieces, data = create_pieces([]), bytes(PIECE_BYTES)

    pieces.append(data)

    assert pieces.take() is data
