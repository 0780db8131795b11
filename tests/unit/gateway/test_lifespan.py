"""Background loops of the gateway."""

from __future__ import annotations

import asyncio

import pytest

from gateway import lifespan
from gateway.lifespan import run_in_background


async def test_a_loop_that_misses_a_cancellation_is_cancelled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifespan, "CANCEL_AGAIN_SECONDS", 0.01)
    missed: list[bool] = []

    async def loop() -> None:
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                if missed:
                    raise
                missed.append(True)

    async with asyncio.timeout(30):
        async with run_in_background(loop()):
            await asyncio.sleep(0)

    assert missed == [True]
