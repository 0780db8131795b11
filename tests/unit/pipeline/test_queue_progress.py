"""How far a queue has come, known from its lengths."""

from __future__ import annotations

import random
from collections import deque

import pytest

from pipeline.queues.queue_progress import MAX_TARGETS, QueueProgress


def passed(*lengths: int) -> int:
    """Return what is known after looks at times 1, 2, 3 and so on."""
    progress = QueueProgress()
    for at_ms, length in enumerate(lengths, start=1):
        progress.record_length(length, at_ms=at_ms)
    return progress.consumed_until_ms


@pytest.mark.parametrize(
    ("lengths", "consumed_until_ms"),
    [
        ((), 0),
        ((0,), 1),
        ((3,), 0),
        ((3, 2, 1), 0),
        ((3, 2, 1, 0), 4),
        ((3, 3, 3), 0),  # it stands still
        ((3, 5, 2), 1),  # three have gone, which are those of the first look
        ((3, 5, 2, 4, 2), 3),
        ((2, 1, 2, 1, 2, 1), 4),  # never empty, and moving
        ((0, 4), 1),
    ],
)
def test_what_was_there_is_gone_once_the_queue_has_shrunk_by_as_much(
    lengths: tuple[int, ...], consumed_until_ms: int
) -> None:
    assert passed(*lengths) == consumed_until_ms


@pytest.mark.parametrize("seed", range(20))
def test_it_is_never_ahead_of_the_truth_and_comes_along(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311  # not a secret
    progress, queue = QueueProgress(), deque[int]()

    for now in range(1, 4000):
        queue.extend([now] * chance.randrange(5))
        for _ in range(min(len(queue) - 1, chance.randrange(5)) if queue else 0):  # it never becomes empty
            queue.popleft()
        if chance.random() < 0.3:  # a look, between which more comes and goes than it shows
            progress.record_length(len(queue), at_ms=now + 1)
        assert not queue or progress.consumed_until_ms <= queue[0] + 1

    assert progress.consumed_until_ms > 0


def test_a_queue_that_only_grows_is_remembered_within_bounds() -> None:
    progress = QueueProgress()

    for at_ms in range(1, 5 * MAX_TARGETS):
        progress.record_length(at_ms, at_ms=at_ms)
    progress.record_length(0, at_ms=5 * MAX_TARGETS)

    assert progress.consumed_until_ms == 5 * MAX_TARGETS
