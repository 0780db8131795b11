"""python -m tests.tools.bench [SCENARIO...]: what Darkroom does in a second, what a job costs, and how that grows."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, fields
from datetime import UTC, datetime
from http.client import HTTPException
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from deploy.local.interrupts import interrupt_once
from deploy.local.supervisord_control import StackError
from tests.tools.bench import machine
from tests.tools.bench.arguments import read_arguments
from tests.tools.bench.bench import Bench, Figures, Options
from tests.tools.bench.scenarios import (
    backlog,
    compare,
    direct,
    encoders,
    fairness,
    floor,
    footprint,
    growth,
    idle,
    memory,
    metrics,
    mix,
    peaks,
    presets,
    profile,
    quality,
    queue,
    race,
    reprocess,
    sizing,
    small,
    soak,
    still,
    upload,
    workers,
)

SCENARIOS: dict[str, Callable[[Bench], Figures]] = {
    module.__name__.rpartition(".")[2]: module.run
    for module in (
        race,
        presets,
        mix,
        idle,
        queue,
        upload,
        workers,
        growth,
        backlog,
        memory,
        still,
        soak,
        peaks,
        metrics,
        fairness,
        footprint,
        quality,
        floor,
        direct,
        encoders,
        reprocess,
        sizing,
        compare,
        profile,
        small,
    )
}
WIDTH = 120  # columns where there is no terminal to ask
INTERRUPTED = 130


def main(arguments: list[str]) -> int:
    """Run the scenarios, print what they found and write it down."""
    chosen = read_arguments(arguments, list(SCENARIOS))
    options = Options(**{field.name: getattr(chosen, field.name) for field in fields(Options)})
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH
    with interrupt_once(), tempfile.TemporaryDirectory(prefix="darkroom-bench-") as folder:
        try:
            broken = _run(Bench(options, console, Path(folder)), chosen.scenarios)
        except KeyboardInterrupt:
            console.print("Interrupted; everything is stopped and removed.")
            return INTERRUPTED
    return int(broken)


def _run(bench: Bench, names: list[str]) -> bool:
    """Run them one after the other, each written down as it ends; whether one of them broke."""
    here, versions, broken = machine.machine(), machine.versions(bench.options.peer), False
    bench.say(f"{here['cores']} cores, {here['memory_mib']} MiB, {here['kernel']}, Python {here['python']}")
    bench.say(", ".join(f"{name} {said}" for name, said in versions.items()))
    for name in names:
        bench.say(f"\n[bold]{name}[/bold]: {sys.modules[SCENARIOS[name].__module__].__doc__}")
        began, before = time.monotonic(), machine.load()
        try:
            found = SCENARIOS[name](bench)
        except (RuntimeError, OSError, HTTPException, StackError) as error:
            bench.say(f"[red]{name} broke:[/red] {escape(str(error))}")
            broken = True
            continue
        after = machine.load()
        bench.say(f"{name} took {time.monotonic() - began:.0f} s; load average before {before}, after {after}")
        if name != "sizing":  # it measures nothing
            when: Figures = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "load_average": [before, after]}
            when |= {"options": {option: str(value) for option, value in asdict(bench.options).items()}}
            _write(bench.options.json, {"machine": here, "versions": versions, bench.options.label(name): when | found})
    bench.say(f"The figures are in {bench.options.json}.")
    return broken


def _write(path: Path, found: Figures) -> None:
    """Write figures down; what the file has of other scenarios stays, each with its own date."""
    earlier = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(earlier | found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
