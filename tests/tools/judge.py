"""python -m tests.tools.judge [-k EXPRESSION] [TEST...]: the tests of the documents on a second server, FerretDB."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.ferretdb_server import find_ferretdb, run_ferretdb

PATHS = ("tests/contract", "tests/integration/test_previews.py", "tests/integration/test_outages.py")
MARKED = ("-m", "documents", *PATHS)
PARALLEL = ("-n", "2", "--dist", "loadgroup", "--no-loadscope-reorder")


def main(arguments: list[str]) -> int:
    """Run the tests; return pytest's exit status."""
    parser = argparse.ArgumentParser(prog="./run judge", description="Run the tests of the documents on FerretDB.")
    parser.add_argument("tests", nargs="*", metavar="TEST", help="by default: those that are marked `documents`")
    parser.add_argument("-k", default="", metavar="EXPRESSION", help="only tests whose names match, as in pytest")
    options = parser.parse_args(arguments)
    program = find_ferretdb()
    if program is None:
        parser.error("there is no ferretdb on PATH; .ci/ferretdb builds one")
    command = [sys.executable, "-m", "pytest", "-q", "-k", options.k, *(options.tests or (*PARALLEL, *MARKED))]
    with tempfile.TemporaryDirectory(prefix="darkroom-ferretdb-") as folder, run_ferretdb(program, Path(folder)) as url:
        return subprocess.run(command, env=os.environ | {"DARKROOM_MONGO_URL": url}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
