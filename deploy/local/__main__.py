"""Run Darkroom on this machine, without containers, its state kept in one folder."""

from __future__ import annotations

import argparse
import sys

from deploy.local.interrupts import interrupt_once

INTERRUPTED = 130


def main() -> int:
    """Do the task named on the command line; the exit status."""
    about = f"{__doc__} It stays in the foreground; Ctrl-C stops everything."
    parser = argparse.ArgumentParser(prog="./run up", usage="%(prog)s [-h]", description=about)
    parser.add_argument("task", choices=["up"], help=argparse.SUPPRESS)
    parser.parse_args()
    with interrupt_once():
        try:
            from deploy.local.up import run_up  # noqa: PLC0415  # takes a second, in which an interrupt is one already

            return run_up()
        except KeyboardInterrupt:
            print("Interrupted before anything was started.")
            return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
