"""What `./run bench` is asked for."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

ABOUT = "What Darkroom does in a second, what a job costs, and how that grows."
SERVED = "`race`, `mix`, `idle`, `queue`, `compare`"
RESULTS = Path(".cache/bench.json")
APART = ("compare", "profile")
"""Scenarios that `all` leaves out: they need an option, or a tool from elsewhere."""


def read_arguments(arguments: list[str], scenarios: Sequence[str]) -> argparse.Namespace:
    """Return the options and the chosen scenarios; exit with a reason where they cannot be understood."""
    parser = argparse.ArgumentParser(prog="./run bench", description=ABOUT)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=f"some of {', '.join(scenarios)}, or all")
    parser.add_argument("--photos", type=Path, help="a folder of photos to make the corpus of, instead of drawn ones")
    parser.add_argument(
        "--peer", type=Path, help="the folder of a peer with the same API: `race`, `presets`, `idle`, `compare`"
    )
    parser.add_argument("--against", type=Path, metavar="TREE", help="`compare`, `profile`: another checkout")
    parser.add_argument("--parts", type=_words, default=(), metavar="PART,...", help="`compare`: some of its parts")
    parser.add_argument("--py-spy", type=Path, metavar="PATH", help="`profile`: installed by default")
    parser.add_argument("--still", type=float, default=30.0, help="seconds without work in `still` (%(default)g)")
    parser.add_argument("--minutes", type=float, default=10.0, help="of load in `soak` (%(default)g)")
    parser.add_argument(
        "--broker", choices=("redis", "rabbitmq"), default="redis", help=f"{SERVED}: what carries messages"
    )
    parser.add_argument("--blobs", choices=("folder", "s3"), default="folder", help=f"{SERVED}: what keeps blobs")
    parser.add_argument("--jobs", type=_count, help="of each run; each scenario has a number of its own")
    parser.add_argument("--in-flight", type=_count, default=16, help="photos under way at a time (%(default)s)")
    parser.add_argument("--rounds", type=_count, help="of `race`, `presets` and `compare` (3; `race` without a peer 1)")
    parser.add_argument("--deep", action="store_true", help="`backlog`: up to 10,000 jobs instead of 1,000")
    parser.add_argument("--burst", type=_count, default=200, help="`fairness`: photos queued at once (%(default)s)")
    parser.add_argument("--cores", type=_count, help="`sizing`: of a node; by default those of the run")
    parser.add_argument("--rate", type=float, help="`sizing`: jobs a second to be served")
    parser.add_argument("--write", action="store_true", help="`sizing`: put its tables into the documents")
    parser.add_argument(
        "--json", type=Path, default=RESULTS, help=f"where the figures go, and where `sizing` finds them ({RESULTS})"
    )
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.scenarios) - set(scenarios) - {"all"}:
        parser.error(f"no scenario is called {', '.join(sorted(unknown))}; there are {', '.join(scenarios)}")
    every = [name for name in scenarios if name not in APART]
    chosen.scenarios = every if "all" in chosen.scenarios else chosen.scenarios or ["race"]
    return chosen


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def _count(text: str) -> int:
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{value} is less than one")
    return value
