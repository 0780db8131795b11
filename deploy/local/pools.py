"""The worker pools of `./run up`: one for each queue, or one for several, as DARKROOM_POOLS says."""

from __future__ import annotations

from typing import TypedDict

from deploy.local.supervisord_control import StackError

VARIABLE = "DARKROOM_POOLS"
MAX_CHILDREN = 4
OUTBOUND_CHILDREN = 2  # they wait for other hosts most of the time


class Pools(TypedDict, total=False):
    """The arguments of a `Stack` that say which workers it has."""

    pools: dict[str, int]
    shared_pool: int
    shares_outbound: bool
    outbound_pool: int


def choose_pools(choice: str, *, cores: int) -> Pools:
    """Return the workers of a choice; empty means `each`. StackError if there is no such choice.

    `each`: one pool a queue. `one`: one for all queues of stages, with a child for each core, and one for `fetch` and
    `notify`. `all`: one for all queues.
    """
    children = min(cores, MAX_CHILDREN)
    match choice:
        case "" | "each":
            return {"pools": {"normalize": children, "resize": children}, "outbound_pool": OUTBOUND_CHILDREN}
        case "one":
            return {"shared_pool": children, "outbound_pool": 1}
        case "all":
            return {"shared_pool": children, "shares_outbound": True}
    raise StackError(f"{VARIABLE} is {choice!r}; it should be each, one or all.")
