"""The most memory that a stage needs, on the largest image of each format and kind that the limits allow."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from deploy.local.processes import MALLOC
from stages.limits import Limits
from stages.validate import validate
from tests.support.programs import run_program
from tests.tools.bench.bench import Bench, Figures
from tests.tools.bench.originals import LARGEST, ORIGINALS
from tests.tools.bench.peak_child import read_memory
from tests.tools.bench.sample import MIB

STILL = ("validate", "normalize", "crop jpeg", "grayscale jpeg", "fill jpeg")
ANIMATED = ("validate", "normalize", "crop jpeg", "animate webp", "animate gif")
ENCODED = ("jpeg progressive", "webp alpha")  # one opaque, one with alpha
ENCODERS = ("crop png", "crop webp", "crop avif", "resize jpeg", "resize png", "resize webp", "resize avif")
POOLS = {"animate": "resize", "crop": "transform", "grayscale": "transform", "fill": "transform"}
POLL_SECONDS = 0.005


def run(bench: Bench) -> Figures:
    """Draw every original, and run every stage on it in a process of its own."""
    found: dict[str, dict[str, Figures]] = {}
    file = bench.folder("peaks") / "original"
    for name, draw in ORIGINALS.items():
        file.write_bytes(draw(LARGEST))
        facts = validate(file.read_bytes(), limits=Limits())
        runs = (ANIMATED if facts.frames > 1 else STILL) + (ENCODERS if name in ENCODED else ())
        found[name] = {each: _measure(each, file, facts.width, facts.height) for each in runs}
        peaks = ", ".join(f"{each} {peak['peak'] // MIB}" for each, peak in found[name].items())
        bench.say(f"{name}, {file.stat().st_size / MIB:.1f} MiB: {peaks} MiB")
    _show_worst(bench, found)
    return {"originals": found}


def _measure(run: str, file: Path, width: int, height: int) -> Figures:
    """Return the memory before a run and at most, and the most that was allocated, in bytes."""
    command = [sys.executable, "-m", "tests.tools.bench.peak_child", run, str(file), str(width), str(height)]
    data = 0
    with run_program(*command, stdout=subprocess.PIPE, text=True, environment=MALLOC) as process:
        while process.poll() is None:
            data = max(data, read_memory("VmData", process.pid))
            time.sleep(POLL_SECONDS)
        printed = process.stdout.read() if process.stdout else ""
    if process.returncode:
        raise RuntimeError(f"{run} of {file} ended with {process.returncode}")
    return {**json.loads(printed), "data": data}


def _show_worst(bench: Bench, found: dict[str, dict[str, Figures]]) -> None:
    """Print for each pool its worst run."""
    worst: dict[str, tuple[object, ...]] = {}
    every = [(peak, name, run) for name, runs in found.items() for run, peak in runs.items()]
    for peak, name, run in sorted(every, key=lambda each: each[0]["peak"]):
        more = (peak["peak"] - peak["base"], peak["data"] - peak["base_data"])
        stage = run.split()[0]
        worst[POOLS.get(stage, stage)] = (
            f"{run}: {name}",
            peak["base"] / MIB,
            peak["peak"] / MIB,
            *(x / MIB for x in more),
        )
    rows = [(pool, *figures) for pool, figures in worst.items()]
    bench.show("worst of each pool, MiB", ["", "run", "process", "peak", "of which image", "allocated"], rows)
