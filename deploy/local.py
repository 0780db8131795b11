"""Run Darkroom on this machine, without containers, its state kept in one folder."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from importlib.util import find_spec

from dotenv import load_dotenv
from rich.console import Console
from rich.table import Table
from rich.text import Text

from deploy.control import PortTaken, StackError
from deploy.follow import Follower
from deploy.interrupts import interrupted_once
from deploy.ports import free_port
from deploy.processes import ROOT
from deploy.stack import Stack

PAGE_PORT, FLOWER_PORT = 8000, 5555
GATEWAY_PORT, REDIS_PORT, MONGO_PORT = 8001, 6390, 27018  # the servers' own standard ports may be somebody's
COLOURS = ("cyan", "green", "yellow", "blue", "magenta", "bright_cyan", "bright_red")
FOLLOW_SECONDS = 0.3
WITHOUT_FLOWER = "no Flower: it is not installed (pip install flower)"


def main() -> int:
    """Do the task named on the command line; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local", description=__doc__)
    parser.add_argument("task", choices=["up"], help="start everything and stay in the foreground until interrupted")
    parser.parse_args()
    load_dotenv(ROOT / ".env")
    try:
        with interrupted_once():
            up(Console(highlight=False))
    except StackError as error:
        hint = (
            f" Another can be chosen: DARKROOM_PORT={GATEWAY_PORT + 1} ./run up" if isinstance(error, PortTaken) else ""
        )
        Console(stderr=True).print(Text(f"{error}{hint}"), soft_wrap=True)
        return 1
    return 0


def up(console: Console) -> None:
    """Start, say where things are, show what happens, and stop on an interrupt."""
    began = time.monotonic()
    console.print("Starting Darkroom ...")
    stack = _stack()
    try:
        with stack:
            _say_ready(console, stack, seconds=time.monotonic() - began)
            _follow(console, stack)
    except (KeyboardInterrupt, BrokenPipeError):
        with contextlib.suppress(OSError):  # the terminal can be what went away
            console.print("Stopped. Unfinished jobs go on at the next start.")


def _stack() -> Stack:
    cpus = min(os.cpu_count() or 1, 4)
    flower = find_spec("flower") is not None
    told = {"DARKROOM_LOG_FORMAT": "console", **os.environ}
    return Stack(
        os.environ.get("DARKROOM_HOME") or ROOT / ".darkroom",
        gateway_port=_port(),
        redis_port=free_port(REDIS_PORT),
        mongo_port=free_port(MONGO_PORT),
        redis_url=os.environ.get("DARKROOM_REDIS_URL"),
        mongo_url=os.environ.get("DARKROOM_MONGO_URL"),
        pools={"normalize": cpus, "resize": cpus},
        flower=flower,
        flower_port=free_port(FLOWER_PORT) if flower else 0,
        frontend=True,
        frontend_port=free_port(PAGE_PORT),
        environment={name: told[name] for name in ("DARKROOM_LOG_FORMAT", "DARKROOM_BLOB_URL") if name in told},
    )


def _port() -> int:
    text = os.environ.get("DARKROOM_PORT") or str(GATEWAY_PORT)
    if text.isdecimal() and 0 < int(text) < 2**16:
        return int(text)
    raise StackError(f"DARKROOM_PORT is {text!r}; it should be a port number, such as {GATEWAY_PORT}.")


def _say_ready(console: Console, stack: Stack, *, seconds: float) -> None:
    table = Table.grid(padding=(0, 2))
    table.add_row("Page", stack.frontend_url)
    table.add_row("API", f"{stack.url}/docs")
    table.add_row("Try it", f"curl -F file=@photo.jpg {stack.url}/upload")
    table.add_row("Tasks", stack.flower_url if "flower" in stack.processes else WITHOUT_FLOWER)
    table.add_row("Watch", "./run top")
    table.add_row("Logs", str(stack.log_file("gateway").parent))
    table.add_row("Data", str(stack.folder))
    console.print(f"\nDarkroom is ready after {seconds:.1f} s. Ctrl-C stops it.\n", style="bold")
    console.print(table, soft_wrap=True)
    console.print()


def _follow(console: Console, stack: Stack) -> None:
    """Show what the gateway and the workers log, and which processes ended, for as long as the stack runs."""
    names = [process.name for process in stack.processes.values() if process.group == "darkroom"]
    colours = dict(zip(names, COLOURS, strict=False))
    follower = Follower({name: stack.log_file(name) for name in (*names, "supervisord")})
    try:
        while stack.is_alive():
            for name, line in follower.lines():
                if name in colours:
                    console.print(Text(f"{name:<10}", colours[name]), Text.from_ansi(line), soft_wrap=True)
                elif "exited:" in line:
                    console.print(Text(f"{'stack':<10} {line.partition('exited: ')[2]}", "bold red"), soft_wrap=True)
            time.sleep(FOLLOW_SECONDS)
    except KeyboardInterrupt:
        with contextlib.suppress(OSError):
            console.print("\nStopping ...")
        raise
    raise StackError(f"supervisord ended; {stack.log_file('supervisord')} may say why.")


if __name__ == "__main__":
    sys.exit(main())
