"""Run Darkroom on this machine, without containers, with its data in one folder."""

from __future__ import annotations

import argparse
import sys

from deploy.local.interrupts import interrupt_once

INTERRUPTED = 130


def main() -> int:
    """Run the task named on the command line and return the exit status."""
    about = f"{__doc__} It runs in the foreground; Ctrl-C stops everything."
    parser = argparse.ArgumentParser(prog="./run up", usage="%(prog)s [-h]", description=about)
    parser.add_argument("task", choices=["up"], help=argparse.SUPPRESS)
    parser.parse_args()
    with interrupt_once():
        try:
            from deploy.local.up import run_up  # noqa: PLC0415  # the import takes a second and can be interrupted, too

            return run_up()
        except KeyboardInterrupt:
            print("Interrupted before anything was started.")
            return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
