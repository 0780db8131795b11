"""Every fault there is, and the order in which a seed strikes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

from tests.tools.chaos.attack_faults import gateway_attacked
from tests.tools.chaos.blob_faults import blobs_away, blobs_full, blobs_slow
from tests.tools.chaos.gateway_faults import deploy, gateway_frozen, gateway_killed
from tests.tools.chaos.message_faults import chord_early, duplicates, message_lost
from tests.tools.chaos.scene import Fault
from tests.tools.chaos.server_faults import (
    mongo_away,
    mongo_frozen,
    mongo_killed,
    redis_away,
    redis_emptied,
    redis_frozen,
    redis_full,
    redis_killed,
)
from tests.tools.chaos.stack import ChaosStack
from tests.tools.chaos.worker_faults import (
    child_frozen,
    child_killed,
    worker_frozen,
    worker_killed,
    worker_silent,
    write_cut,
    zombie,
    zombie_finalize,
)

FAULTS: dict[str, Fault] = {
    fault.__name__: fault
    for fault in (
        child_killed,
        write_cut,
        child_frozen,
        worker_killed,
        worker_frozen,
        worker_silent,
        zombie,
        zombie_finalize,
        gateway_killed,
        gateway_frozen,
        gateway_attacked,
        deploy,
        redis_killed,
        redis_frozen,
        redis_away,
        redis_full,
        redis_emptied,
        mongo_killed,
        mongo_frozen,
        mongo_away,
        blobs_away,
        blobs_full,
        blobs_slow,
        duplicates,
        chord_early,
        message_lost,
    )
}
SERVERS = ("redis", "mongo")


def select_possible(stack: ChaosStack, names: Sequence[str]) -> list[str]:
    """Return those of the faults that this stack can suffer: a server given from outside is left alone."""
    absent = tuple(f"{server}_" for server in SERVERS if server not in stack.processes)
    return [name for name in names if not name.startswith(absent)]


def shuffle_rounds(names: Sequence[str], random: Random) -> Iterator[str]:
    """Draw round after round of all the faults, each round in an order of its own, without end."""
    while names:
        yield from random.sample(names, len(names))
