"""python -m tests.tools.chaos [--minutes N] [--seed S] [--pools 2] [--skew 120] [--no-faults] [--faults a,b].

Break everything, lose nothing.
"""

from __future__ import annotations

import argparse
import random
import sys
import time

from rich.console import Console

from deploy.local.interrupts import interrupt_once
from tests.tools.chaos.campaign import Plan, run
from tests.tools.chaos.faults import FAULTS
from tests.tools.chaos.report import report

WIDTH = 120  # columns where there is no terminal to ask
INTERRUPTED = 130


def main(arguments: list[str]) -> int:
    """Run a campaign and report; 1 when an invariant broke."""
    plan = _plan(arguments)
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH
    began = time.monotonic()

    def tell(line: str) -> None:
        console.print(f"{time.monotonic() - began:6.1f} s  {line}")

    with interrupt_once():
        try:
            result = run(plan, tell)
        except KeyboardInterrupt:
            console.print("Interrupted; everything is stopped and removed.")
            return INTERRUPTED
    report(result, console)
    return int(bool(result.violations))


def _plan(arguments: list[str]) -> Plan:
    parser = argparse.ArgumentParser(prog="./run chaos", description="Break everything, lose nothing.")
    parser.add_argument(
        "--minutes", type=float, default=3, help="of load and faults; starting and settling come on top"
    )
    parser.add_argument("--seed", type=int, default=None, help="of the faults and the uploads; by default another one")
    parser.add_argument("--rate", type=float, default=3, help="uploads a second")
    parser.add_argument("--pools", type=int, choices=(1, 2), default=1, help="workers of each queue")
    parser.add_argument(
        "--skew", type=int, default=0, help="seconds by which the clock of every second process is ahead"
    )
    parser.add_argument("--keep", action="store_true", help="keep the evidence of a run in which all went well, too")
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument("--no-faults", action="store_true", help="load and poison alone")
    chosen.add_argument("--faults", type=_names, default=list(FAULTS), help=f"some of {', '.join(FAULTS)}")
    options = parser.parse_args(arguments)
    seed = random.randrange(10_000) if options.seed is None else options.seed  # noqa: S311  not a secret
    faults = [] if options.no_faults else options.faults
    return Plan(
        seed=seed,
        seconds=options.minutes * 60,
        faults=faults,
        rate=options.rate,
        pools=options.pools,
        skew_seconds=options.skew,
        keep=options.keep,
    )


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if unknown := set(names) - set(FAULTS):
        raise argparse.ArgumentTypeError(f"no fault is called {', '.join(sorted(unknown))}")
    return names


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
