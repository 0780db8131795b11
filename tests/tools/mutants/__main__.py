"""python -m tests.tools.mutants [-k TEXT]: break one promise at a time in a copy of the tree; see which test fails."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.tools.mutants.mutants import MUTANTS, Mutant

ROOT = Path(__file__).parents[3]
FAILED = re.compile(r"^(?:FAILED|ERROR) (.+?)(?: - |$)", re.MULTILINE)
TESTS_FAILED = 1  # pytest's exit status; others say that they did not run


def main(arguments: list[str]) -> int:
    """Run the tests of each mutant and report; 1 when no test notices one, or they fail without it."""
    parser = argparse.ArgumentParser(prog="./run mutants", description="Break one promise at a time; a test must fail.")
    parser.add_argument("-k", default="", metavar="TEXT", help="only mutants with this text in their name")
    text = parser.parse_args(arguments).k
    chosen = [mutant for mutant in MUTANTS if text in mutant.name]
    if not chosen:
        parser.error(f"no mutant has {text!a} in its name")
    survivors = 0
    with tempfile.TemporaryDirectory(prefix="darkroom-mutants-") as folder:
        tree = Path(folder)
        copy_tree(tree)
        if failed := find_failed(tree, sorted({test for mutant in chosen for test in mutant.tests})):
            sys.stderr.write(f"Without any change, this test fails: {failed}\n")
            return 1
        tell("change", "noticed by", "s")
        tell("---", "---", "---")
        for mutant in chosen:
            start = time.monotonic()
            failed = try_mutant(tree, mutant)
            survivors += failed is None
            tell(mutant.name, failed or "**nothing**", f"{time.monotonic() - start:.0f}")
    return int(survivors > 0)


def tell(*cells: str) -> None:
    """Write a row of a Markdown table."""
    sys.stdout.write(f"| {' | '.join(cells)} |\n")
    sys.stdout.flush()


def copy_tree(target: Path) -> None:
    """Copy the files that are under version control, as they are now."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)


def try_mutant(tree: Path, mutant: Mutant) -> str | None:
    """Return the first test that fails with the change; None if none does."""
    before = mutant.apply(tree)
    try:
        return find_failed(tree, mutant.tests)
    finally:
        (tree / mutant.path).write_text(before, encoding="utf-8")


def find_failed(tree: Path, tests: Sequence[str]) -> str | None:
    """Return the first of the tests that fails; None if all pass. Raises RuntimeError if they do not run."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "--tb=no", "-p", "no:cacheprovider", *tests]
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}  # a change within a second has the time of the last one
    run = subprocess.run(command, cwd=tree, env=environment, check=False, capture_output=True, text=True)
    failed = FAILED.search(run.stdout)
    if run.returncode == 0:
        return None
    if run.returncode != TESTS_FAILED or failed is None:
        raise RuntimeError(run.stdout + run.stderr)
    return failed[1]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
