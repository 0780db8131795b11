"""Three previews of a photo in one process, without HTTP, queue and documents: our stages, sharp and pyvips."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from deploy.local.processes import MALLOC
from tests.tools.bench import peer
from tests.tools.bench.bench import Bench, Figures
from tests.tools.bench.comparison_tables import DIRECT as OWN
from tests.tools.bench.rounds import compare, order
from tests.tools.bench.tools_environment import install_packages

ROUNDS, PHOTOS = 3, 20
PROGRAMS = Path(__file__).parent.parent / "direct"
OWN_PROGRAM = PROGRAMS.parent / "direct_own.py"
PYVIPS = ("pyvips==3.2.0", "pyvips-binary==8.18.7")
ONE_THREAD = {"VIPS_CONCURRENCY": "1"}
MODES = {"each": "a decode for each preview", "once": "one decode"}


@dataclass(frozen=True, slots=True)
class Program:
    """A program that takes a folder as its last argument and prints its figures."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]


def run(bench: Bench) -> Figures:
    """Let each program make the previews of the same photos, round after round."""
    folder = bench.folder("direct")
    for number, photo in enumerate(bench.corpus.photos("12mp")[: bench.jobs(PHOTOS)]):
        (folder / f"{number:02}.jpg").write_bytes(photo)
    own = Program(OWN, (sys.executable, str(OWN_PROGRAM)), MALLOC | {"PYTHONPATH": str(Path.cwd())})
    programs = [own, *_find(bench, _find_sharp), *_find(bench, _find_vips)]
    versions: dict[str, str] = {}
    rounds = []
    for number in range(bench.options.rounds or ROUNDS):
        printed = {each.name: _measure(each, folder) for each in order(programs, number)}
        rounds.append({name: found["cpu_ms"] for name, found in printed.items()})
        versions |= {name: value for found in printed.values() for name, value in found.get("versions", {}).items()}
    _show(bench, rounds)
    return {"rounds": rounds, "versions": versions}


def _find(bench: Bench, find: Callable[[Bench], list[Program]]) -> list[Program]:
    """Return the programs, or say why there are none."""
    try:
        return find(bench)
    except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
        bench.say(f"Left out: {error}")
        return []


def _find_sharp(bench: Bench) -> list[Program]:
    if absent := [tool for tool in ("node", "npm") if shutil.which(tool) is None]:
        raise RuntimeError(f"sharp, because {' and '.join(absent)} cannot be found")
    folder = peer.install_node_packages(PROGRAMS, bench.folder("npm") / "direct")
    return _variants("sharp", ("node", str(folder / "sharp.mjs")), {})


def _find_vips(_: Bench) -> list[Program]:
    python = install_packages("vips", *PYVIPS) / "python"
    return _variants("pyvips", (str(python), str(PROGRAMS / "vips.py")), ONE_THREAD)


def _variants(name: str, command: tuple[str, ...], environment: Mapping[str, str]) -> list[Program]:
    """Return a program for each way of decoding, with another allocator where it is installed."""
    preload = {"LD_PRELOAD": str(peer.JEMALLOC)} if peer.JEMALLOC.exists() else {}
    allocator = ", jemalloc" if preload else ""
    return [
        Program(f"{name}, {what}{allocator}", (*command, mode), dict(environment) | preload)
        for mode, what in MODES.items()
    ]


def _measure(program: Program, folder: Path) -> dict[str, Any]:
    environment = os.environ | dict(program.environment)
    run = subprocess.run([*program.command, str(folder)], env=environment, capture_output=True, text=True, check=False)
    if run.returncode:
        raise RuntimeError(f"{program.name}: {run.stderr.strip()[-300:]}")
    found: dict[str, Any] = json.loads(run.stdout)
    return found


def _show(bench: Bench, rounds: list[dict[str, dict[str, float]]]) -> None:
    stages = [(stage, median(each[OWN][stage] for each in rounds)) for stage in rounds[0][OWN]]
    bench.show("our stages, CPU ms for a photo of 12 megapixels, medians", ["", "ms"], stages)
    names = [name for name in rounds[0] if name != OWN]
    numbers = range(1, len(rounds) + 1)
    rows = []
    for name in (OWN, *names):
        compared = compare(rounds, OWN, name)["all"]
        rows.append((name, *compared.other, compared.other_median, compared.median))
    headings = ["CPU ms, three previews", *(f"round {number}" for number in numbers), "median", "ours to it"]
    bench.show("direct", headings, rows)
