"""Send photos through a throwaway Darkroom and save their previews."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from deploy.local.interrupts import interrupt_once

INTERRUPTED = 130


def main() -> int:
    """Run the demo and return the exit status."""
    options = _parse_options()
    here = options.directory.resolve()
    with interrupt_once():
        try:
            from deploy.local.demo_run import run_demo  # noqa: PLC0415  # the import takes a second and can be interrupted, too

            return run_demo([here / photo for photo in options.photos], here)
        except KeyboardInterrupt:
            print("Interrupted before anything was started.")
            return INTERRUPTED


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./run demo", description=__doc__)
    parser.add_argument(
        "photos", nargs="*", type=Path, metavar="PHOTO", help="a photo file; without one, the demo draws a photo"
    )
    parser.add_argument("--directory", type=Path, default=Path(), help=argparse.SUPPRESS)  # set by ./run
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
