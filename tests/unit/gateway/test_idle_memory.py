"""The gateway returns free memory once after a time of work."""

from __future__ import annotations

import time

from gateway.idle_memory import IdleMemory


async def test_memory_is_returned_once_in_a_time_of_idleness() -> None:
    returns: list[float] = []
    memory = IdleMemory(lambda: returns.append(time.monotonic()))

    for _ in range(3):
        time.sleep(0.05)  # noqa: ASYNC251  # nothing else may run
        await memory.return_when_idle()

    assert len(returns) == 1


async def test_a_busy_gateway_keeps_its_memory_until_it_is_idle_again() -> None:
    returns: list[float] = []
    memory = IdleMemory(lambda: returns.append(time.monotonic()))

    _work()
    await memory.return_when_idle()
    while_busy = len(returns)
    time.sleep(0.5)  # noqa: ASYNC251
    await memory.return_when_idle()

    assert (while_busy, len(returns)) == (0, 1)


def _work() -> None:
    end = time.process_time() + 0.05
    while time.process_time() < end:
        pass
