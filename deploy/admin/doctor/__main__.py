"""Whether this machine can run Darkroom: memory, disk, ports, Docker, clock; each line says what to do.

    ./run doctor                as docker compose runs it, or as ./run up does where docker is not installed
    ./run doctor compose|up

It needs no network, changes nothing, and uses the standard library alone, of Python 3.9 or newer. Exit status: 0, or 1
if something prevents a start.
"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))  # `python -I` leaves it out

from deploy.admin.doctor import engine, machine, ports  # noqa: E402
from deploy.admin.doctor.variables import read_variables  # noqa: E402
from deploy.admin.findings import Finding, has_errors, ok, render_json, render_text  # noqa: E402
from deploy.local.home import has_running_stack  # noqa: E402

ABOUT = "Check whether this machine can run Darkroom, and say what to do."
PROJECT = "darkroom"


def main(arguments: list[str]) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="./run doctor", description=ABOUT)
    parser.add_argument("way", nargs="?", choices=["compose", "up"], help="compose where docker is installed, else up")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    chosen = parser.parse_args(arguments)
    way = chosen.way or ("compose" if shutil.which("docker") else "up")
    variables = read_variables(ROOT / ".env")
    check = check_compose if way == "compose" else check_up
    findings = [ok("way", f"{'docker compose up' if way == 'compose' else './run up'}"), *check(variables)]
    print(render_json(findings) if chosen.json else render_text(findings))
    return int(has_errors(findings))


def check_compose(variables: Mapping[str, str]) -> Iterator[Finding]:
    """Yield what matters to the containers. Memory is that of the engine's machine, which may be a virtual one."""
    info, failures = engine.read_engine()
    yield from failures
    total, available = machine.read_memory()
    engine_total = int(info.get("MemTotal", total))
    is_elsewhere = engine_total < total
    yield from machine.check_memory(
        engine_total if is_elsewhere else total, 0 if is_elsewhere else available, needed_mib=machine.PEAK_MIB
    )
    root = Path(str(info.get("DockerRootDir", ROOT)))
    yield from machine.check_disk(
        root if root.exists() else ROOT, needed_gib=machine.IMAGES_GIB, roomy_gib=machine.ROOMY_GIB
    )
    yield from machine.check_processor(*machine.read_processor())
    if info:
        yield from engine.check_versions(info, *engine.read_versions(info))
        yield from engine.check_limits(info, variables)
    own = engine.read_own_ports(variables.get("COMPOSE_PROJECT_NAME", PROJECT)) if info else set()
    yield from ports.check_ports(variables, own=own)
    yield from ports.check_network(variables, ports.read_routes() if not own else "")
    yield from machine.check_clock()


def check_up(variables: Mapping[str, str]) -> Iterator[Finding]:
    """Yield what matters to `./run up`."""
    home = Path(variables.get("DARKROOM_HOME", ROOT / ".darkroom"))
    yield from machine.check_python(sys.version_info[:3], has_venv=importlib.util.find_spec("ensurepip") is not None)
    yield from machine.check_memory(*machine.read_memory(), needed_mib=machine.UP_MIB)
    yield from machine.check_disk(home, needed_gib=1, roomy_gib=2)
    yield from ports.check_ports_of_up(variables, is_running=has_running_stack(home))
    yield from machine.check_clock()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
