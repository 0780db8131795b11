"""Darkroom beside another checkout of it, `--against TREE`, and a peer: both measured in one run, round after round."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

from tests.tools.bench import peer
from tests.tools.bench.bench import Bench, Figures
from tests.tools.bench.comparison import ALONE, POSTING, WORKING, Part
from tests.tools.bench.comparison_tables import OWN, summary_rows
from tests.tools.bench.latency import describe_clients
from tests.tools.bench.rounds import Round, order, show_comparison
from tests.tools.bench.scenarios.race import start_peers
from tests.tools.bench.scenarios.still import measure_still
from tests.tools.bench.services import start_darkroom, start_tree
from tests.tools.bench.systems import DarkroomSystem, System
from tests.tools.bench.tree_stack import BEFORE, TreeStack, describe_commit

ROUNDS = 3
STILL = "still"
NAMES = (*WORKING, STILL, *POSTING, *ALONE)

Rounds = dict[str, list[Round]]
"""The rounds of each part."""
Start = Callable[[], AbstractContextManager[DarkroomSystem]]


def run(bench: Bench) -> Figures:
    """Run both stacks and the peers at once, of which one works; then both gateways; then one stack at a time."""
    tree = bench.options.against
    if tree is None:
        raise RuntimeError("name another checkout with --against TREE")
    if unknown := set(bench.options.parts) - set(NAMES):
        raise RuntimeError(f"no part is called {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    found: Figures = {"commits": {OWN: describe_commit(Path()), BEFORE: describe_commit(tree)}}
    rounds: Rounds = {}
    with ExitStack() as resources:
        systems: list[System] = [resources.enter_context(start()) for start in _starts(bench, tree)]
        systems += start_peers(bench, resources, peer.TUNINGS)
        found |= {"clients": describe_clients(systems), "versions_before": _versions(systems)}
        rounds |= _measure_together(bench, systems)
    with ExitStack() as resources:
        if parts := _wanted(bench, POSTING):
            gateways = [resources.enter_context(start()) for start in _starts(bench, tree, workers=False)]
            rounds |= _measure(bench, gateways, parts)
    rounds |= _measure_alone(bench, _starts(bench, tree), _wanted(bench, ALONE))
    others = [system.name for system in systems[1:]]
    found |= {"rounds": rounds, "ratios": {other: _show(bench, rounds, other) for other in others}}
    for other in others:
        rows = [
            (name, each.own_median, each.other_median, each.median, min(present), max(present))
            for name, each in summary_rows(rounds, OWN, other)
            for present in [[value for value in each.ratios if value is not None]]
        ]
        bench.show(f"summary: {OWN} to {other}", ["medians", OWN, other, "ratio", "least", "most"], rows)
    return found


def _starts(bench: Bench, tree: Path, *, workers: bool = True) -> list[Start]:
    """Return what starts each of the two stacks."""
    return [
        lambda: start_darkroom(bench, OWN, workers=workers),
        lambda: start_tree(bench, tree, workers=workers),
    ]


def _versions(systems: Sequence[System]) -> dict[str, str]:
    stacks = [system.running for system in systems if isinstance(system, DarkroomSystem)]
    return next(stack.versions for stack in stacks if isinstance(stack, TreeStack))


def _measure_together(bench: Bench, systems: Sequence[System]) -> Rounds:
    """Measure what each does while the others rest, and how all of them rest before and after."""
    if STILL not in (bench.options.parts or NAMES):
        return _measure(bench, systems, _wanted(bench, WORKING))
    fresh = measure_still(bench, systems)
    rounds = _measure(bench, systems, _wanted(bench, WORKING))
    return rounds | {STILL: [fresh, measure_still(bench, systems)]}


def _measure(bench: Bench, systems: Sequence[System], parts: Mapping[str, Part]) -> Rounds:
    rounds: Rounds = {name: [] for name in parts}
    for number in range(_count(bench) if parts else 0):
        for name, measure in parts.items():
            rounds[name].append(measure(bench, order(systems, number)))
        bench.say(f"round {number + 1}: {', '.join(parts)}")
    return rounds


def _measure_alone(bench: Bench, starts: Sequence[Start], parts: Mapping[str, Part]) -> Rounds:
    rounds: Rounds = {name: [] for name in parts}
    for number in range(_count(bench) if parts else 0):
        merged: dict[str, dict[str, Any]] = {name: {} for name in parts}
        for start in order(starts, number):
            with start() as system:
                for name, measure in parts.items():
                    merged[name] |= measure(bench, [system])
        for name, each in merged.items():
            rounds[name].append(each)
        bench.say(f"round {number + 1}, one at a time: {', '.join(parts)}")
    return rounds


def _count(bench: Bench) -> int:
    return bench.options.rounds or ROUNDS


def _wanted(bench: Bench, parts: Mapping[str, Part]) -> Mapping[str, Part]:
    wanted = bench.options.parts or NAMES
    return {name: part for name, part in parts.items() if name in wanted}


def _show(bench: Bench, rounds: Rounds, other: str) -> dict[str, Any]:
    shown = {part: found for part, found in rounds.items() if all(other in each for each in found)}
    return {part: show_comparison(bench, part, found, OWN, other) for part, found in shown.items()}
