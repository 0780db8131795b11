"""Samples of what the processes of a system do, by py-spy, while a load runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.local.processes import MALLOC
from tests.support.programs import report_end, start_program
from tests.tools.bench import usage
from tests.tools.bench.process_groups import list_tree
from tests.tools.bench.profile_components import PIXELS, count_components
from tests.tools.bench.systems import System
from tests.tools.bench.tools_environment import install_packages

PY_SPY = "py-spy==0.4.3"
STAGES = Path(__file__).with_name("direct_own.py")
PER_SECOND, PER_SECOND_ALONE = 100, 500
ATTACH_SECONDS, END_SECONDS, MOST_SECONDS = 3.0, 60.0, 600
PASSES = 3


@dataclass(frozen=True, slots=True)
class Sampled:
    """A process without its children, or all its children: their CPU, and how often each component was seen."""

    process: str
    is_pool: bool
    cpu_ms: float
    samples: Mapping[str, int]


def find_py_spy(given: Path | None) -> Path:
    """Return the program. RuntimeError says why there is none."""
    if given is None:
        return install_packages("py-spy", PY_SPY) / "py-spy"
    if not given.is_file():
        raise RuntimeError(f"there is no {given}")
    return given.resolve()


def sample_stack(system: System, program: Path, folder: Path, work: Callable[[], None]) -> list[Sampled]:
    """Sample all processes of a system while some work is done. The stacks stay in the folder."""
    groups = {name: [[pid], list_tree(pid)[1:]] for name, pid in system.pids().items()}
    pids = [pid for parts in groups.values() for part in parts for pid in part]
    files = {pid: folder / f"{name}-{pid}.txt" for name, parts in groups.items() for part in parts for pid in part}
    with _recording(program, files):
        before = {pid: usage.own_cpu_ms(pid) for pid in pids}
        work()
        used = {pid: usage.own_cpu_ms(pid) - before[pid] for pid in pids}
    found = []
    for name, parts in groups.items():
        for part in filter(None, parts):
            cpu_ms, counted = sum(used[pid] for pid in part), [count_components(_read(files[pid])) for pid in part]
            found.append(Sampled(name, part is parts[1], cpu_ms, sum(counted, Counter())))
    return found


def sample_stages(tree: Path, program: Path, folder: Path, photos: Sequence[bytes]) -> dict[str, float]:
    """Return the CPU of each component of pixels for one photo, of a checkout's stages in a process without others."""
    for number, photo in enumerate(photos):
        (folder / f"{number:02}.jpg").write_bytes(photo)
    stacks = folder / "stages.txt"
    options = ["--nonblocking", "--rate", str(PER_SECOND_ALONE), "--format", "raw", "--output", str(stacks)]
    python = [str((tree / ".venv/bin/python").absolute()), "-P", str(STAGES), str(folder), str(PASSES)]
    environment = os.environ | MALLOC | {"PYTHONPATH": str(tree.resolve())}
    command = [str(program), "record", *options, "--", *python]
    run = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    printed = [line for line in run.stdout.splitlines() if line.startswith("{")]
    if not printed:
        raise RuntimeError(f"the stages of {tree}: {run.stderr.strip()[-300:]}")
    made = [line for line in _read(stacks).splitlines() if "make_previews" in line]
    counted = count_components("\n".join(made))
    ms_a_sample = json.loads(printed[-1])["cpu_ms"]["all"] / (sum(counted.values()) or 1)
    return {name: count * ms_a_sample for name, count in counted.items() if name in PIXELS}


@contextmanager
def _recording(program: Path, files: Mapping[int, Path]) -> Iterator[None]:
    recorders = [_start(program, pid, file) for pid, file in files.items()]
    try:
        time.sleep(ATTACH_SECONDS)
        yield
    finally:
        for recorder in recorders:
            recorder.send_signal(signal.SIGINT)
        for recorder in recorders:
            recorder.wait(END_SECONDS)
            report_end(recorder)


def _start(program: Path, pid: int, file: Path) -> subprocess.Popen[bytes]:
    """Attach to a process without ever stopping it, so that its CPU is what it would be."""
    options = ["--gil", "--nonblocking", "--rate", str(PER_SECOND), "--format", "raw", "--output", str(file)]
    command = [str(program), "record", "--pid", str(pid), "--duration", str(MOST_SECONDS), *options]
    return start_program(*command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.exists() else ""
