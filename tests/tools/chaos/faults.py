"""Every fault there is, and the order in which a seed strikes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from random import Random

from tests.tools.chaos.attack_faults import connections_silent, gateway_attacked, job_raced, readers_slow
from tests.tools.chaos.blob_faults import STRACE, blobs_away, blobs_slow
from tests.tools.chaos.clock_faults import clock_skewed
from tests.tools.chaos.disk_faults import blobs_full, mongo_disk_full, redis_disk_full
from tests.tools.chaos.forged_faults import document_unreadable, messages_forged
from tests.tools.chaos.gateway_faults import deploy, gateway_frozen, gateway_killed
from tests.tools.chaos.message_faults import chord_early, duplicates, message_lost
from tests.tools.chaos.outbound_faults import outbound_child_killed, outbound_frozen, outbound_killed, outbound_zombie
from tests.tools.chaos.scene import Fault
from tests.tools.chaos.server_faults import (
    everything_killed,
    mongo_away,
    mongo_frozen,
    mongo_killed,
    redis_aof_torn,
    redis_away,
    redis_emptied,
    redis_frozen,
    redis_full,
    redis_killed,
)
from tests.tools.chaos.stack import ChaosStack
from tests.tools.chaos.upload_faults import gateway_killed_in_acceptance, gateway_stopped, upload_slow
from tests.tools.chaos.worker_faults import (
    child_frozen,
    child_killed,
    worker_frozen,
    worker_killed,
    worker_silent,
    worker_stalled,
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
        worker_stalled,
        zombie,
        zombie_finalize,
        clock_skewed,
        outbound_killed,
        outbound_child_killed,
        outbound_frozen,
        outbound_zombie,
        gateway_killed,
        gateway_killed_in_acceptance,
        gateway_stopped,
        gateway_frozen,
        gateway_attacked,
        connections_silent,
        readers_slow,
        upload_slow,
        job_raced,
        deploy,
        everything_killed,
        redis_killed,
        redis_aof_torn,
        redis_frozen,
        redis_away,
        redis_full,
        redis_disk_full,
        redis_emptied,
        mongo_killed,
        mongo_frozen,
        mongo_away,
        mongo_disk_full,
        blobs_away,
        blobs_full,
        blobs_slow,
        duplicates,
        chord_early,
        message_lost,
        messages_forged,
        document_unreadable,
    )
}
SERVERS = ("redis", "mongo")


def select_possible(stack: ChaosStack, names: Sequence[str], tell: Callable[[str], None]) -> list[str]:
    """Return those of the faults that this stack can suffer on this machine, and tell why the others are left out."""
    obstacles = {name: obstacle for name in names if (obstacle := _find_obstacle(stack, name))}
    for name, obstacle in obstacles.items():
        tell(f"{name} is left out: {obstacle}")
    return [name for name in names if name not in obstacles]


def _find_obstacle(stack: ChaosStack, name: str) -> str | None:
    """Return what prevents a fault: a server given from outside is left alone, and one needs a program."""
    server = name.partition("_")[0]
    if server in SERVERS and server not in stack.processes:
        return f"{server} is not of this stack"
    if name == blobs_slow.__name__ and shutil.which(STRACE) is None:
        return f"{STRACE} is not installed"
    return None


def shuffle_rounds(names: Sequence[str], random: Random) -> Iterator[str]:
    """Draw round after round of all the faults, each round in an order of its own, without end."""
    while names:
        yield from random.sample(names, len(names))
