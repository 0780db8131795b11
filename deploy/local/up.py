"""`./run up`: start a stack, print its addresses and logs, stop it on an interrupt."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import cycle

from dotenv import load_dotenv
from rich.console import Console
from rich.text import Text

from deploy.local.dropping_stream import DroppingStream
from deploy.local.home import ROOT, find_home
from deploy.local.log_follower import LogFollower
from deploy.local.pools import VARIABLE, choose_pools
from deploy.local.ports import free_port
from deploy.local.progress import StartProgress
from deploy.local.stack import Stack
from deploy.local.supervisord_control import PortInUse, StackError
from gateway.cli.console import PlainTextConsole
from pipeline.presets.loading import read_files
from pipeline.presets.mistakes import PresetMistakes
from pipeline.settings import Settings
from pipeline.settings_mistakes import find_mistakes

COLOURS = ("cyan", "green", "yellow", "blue", "magenta", "bright_cyan", "bright_green", "bright_red")
FOLLOW_SECONDS = 0.3
PORTS = 2**16
AUTHORIZATION_OPTION = '-H "Authorization: Bearer $DARKROOM_API_KEY" '
LOOPBACK = ["127.0.0.0/8:*", "[::1]:*"]
NO_FLOWER = "It is not installed: pip install flower"


@dataclass(frozen=True)
class PortChoice:
    """The port of a process: its default port, unless an environment variable names another."""

    variable: str
    default_port: int
    is_replaceable: bool = True
    """Whether a free port replaces the default one if that is in use. A port set by the variable is never replaced."""

    def choose(self) -> int:
        """Return the port. StackError if the variable is not a port number."""
        text = os.environ.get(self.variable)
        if not text:
            return free_port(self.default_port) if self.is_replaceable else self.default_port
        if text.isdecimal() and 0 < int(text) < PORTS:
            return int(text)
        raise StackError(f"{self.variable} is {text!r}; it should be a port number, such as {self.default_port}.")

    def explain(self, port: int) -> str:
        """Return why the port is not the default one; empty if it is, or if the variable set it."""
        if port == self.default_port or os.environ.get(self.variable):
            return ""
        return f"(port {self.default_port} is in use by another program; {self.variable} chooses another)"


CHOICES = {
    "frontend": PortChoice("DARKROOM_UI_PORT", 8000),
    # Clients are configured with its address. If it moved, they would call whatever program has this port.
    "gateway": PortChoice("DARKROOM_PORT", 8001, is_replaceable=False),
    "flower": PortChoice("DARKROOM_FLOWER_PORT", 5555),
    "redis": PortChoice("DARKROOM_REDIS_PORT", 6390),  # not 6379 and 27017: other servers may use them
    "mongo": PortChoice("DARKROOM_MONGO_PORT", 27018),
}


def run_up() -> int:
    """Run until an interrupt or an error, which is printed in one line, or one for each mistake in the settings.

    Return the exit status.
    """
    load_dotenv(ROOT / ".env")
    mistakes = find_mistakes() or find_preset_mistakes()
    if mistakes:
        print(*mistakes, sep="\n", file=sys.stderr)
        return 1
    console = PlainTextConsole(file=DroppingStream(sys.stdout))
    try:
        stack = create_stack()
        run_stack(console, stack)
    except StackError as error:
        PlainTextConsole(stderr=True).print(Text(f"{error}{_suggest_port(error)}"), soft_wrap=True)
        return 1
    except (KeyboardInterrupt, BrokenPipeError):
        with contextlib.suppress(OSError):  # the terminal may be closed
            console.print("Stopped. Unfinished jobs go on at the next start.")
    return 0


def find_preset_mistakes() -> list[str]:
    """Return a line for each mistake in the files of presets, of which a relative path starts at the checkout."""
    settings = Settings()
    if not settings.presets:
        return []
    try:
        read_files(
            str(ROOT / settings.presets),
            limits=settings.preset_limits,
            image_limits=settings.limits,
            destinations=settings.destinations,
        )
    except PresetMistakes as error:
        return list(map(str, error.mistakes))
    return []


def create_stack() -> Stack:
    """Return the stack that the environment configures, not started. StackError if a variable is invalid."""
    pools = choose_pools(os.environ.get(VARIABLE, ""), cores=os.cpu_count() or 1)
    ports = {name: choice.choose() for name, choice in CHOICES.items()}
    variables = {"DARKROOM_LOG_FORMAT": "console", **os.environ}
    return Stack(
        find_home(),
        gateway_port=ports["gateway"],
        redis_port=ports["redis"],
        mongo_port=ports["mongo"],
        redis_url=os.environ.get("DARKROOM_REDIS_URL"),
        mongo_url=os.environ.get("DARKROOM_MONGO_URL"),
        **pools,
        flower=find_spec("flower") is not None,
        flower_port=ports["flower"],
        frontend=True,
        frontend_port=ports["frontend"],
        environment=_presets()
        | allow_loopback()
        | _public_url(ports["gateway"])
        | {name: variables[name] for name in ("DARKROOM_LOG_FORMAT", "DARKROOM_BLOB_URL") if name in variables},
    )


def _presets() -> dict[str, str]:
    path = os.environ.get("DARKROOM_PRESETS")
    return {"DARKROOM_PRESETS": str(ROOT / path)} if path else {}


def allow_loopback() -> dict[str, str]:
    """Return the variable with which webhooks and imports may use servers of this machine; none if it is set."""
    is_set = "allow" in Settings().outbound.model_fields_set
    return {} if is_set else {"DARKROOM_OUTBOUND__ALLOW": json.dumps(LOOPBACK)}


def _public_url(gateway_port: int) -> dict[str, str]:
    """Return the variable with which the links of events begin; that of the gateway's port unless it is set."""
    return {"DARKROOM_WEBHOOKS__PUBLIC_URL": Settings().webhooks.public_url or f"http://127.0.0.1:{gateway_port}"}


def run_stack(console: Console, stack: Stack) -> None:
    """Start the stack, print its addresses and logs, stop it at the end. StackError if it ends by itself."""
    console.print("Starting Darkroom ... (10 s, on a slow or busy machine a minute)", soft_wrap=True)
    stack.observer = progress = StartProgress(console)
    with stack:
        _print_addresses(console, stack, seconds=progress.seconds)
        _print_logs(console, stack)


def _suggest_port(error: StackError) -> str:
    if not isinstance(error, PortInUse) or error.name not in CHOICES:
        return ""
    return f" Another can be chosen: {CHOICES[error.name].variable}={error.port + 1} ./run up"


def _print_addresses(console: Console, stack: Stack, *, seconds: float) -> None:
    keys = AUTHORIZATION_OPTION if os.environ.get("DARKROOM_API_KEYS", "{}") not in {"", "{}"} else ""
    rows = [
        ("Page", stack.frontend_url, CHOICES["frontend"].explain(stack.frontend_port)),
        ("API", stack.url, ""),
        ("API docs", f"{stack.url}/docs", ""),
        ("Try it", f"curl {keys}-F file=@photo.jpg {stack.url}/upload", ""),
        ("Tasks", *_describe_flower(stack)),
        ("Watch", "./run top", ""),
        ("Logs", str(stack.log_file("gateway").parent), ""),
        ("Data", str(stack.folder), ""),
    ]
    for name in ("redis", "mongo"):
        port = stack.redis_port if name == "redis" else stack.mongo_port
        if name in stack.processes and (reason := CHOICES[name].explain(port)):
            rows.append((name.capitalize(), f"127.0.0.1:{port}", reason))
    console.print(f"\nDarkroom is ready after {seconds:.1f} s. Ctrl-C stops it.\n", style="bold")
    width = max(len(row[0]) for row in rows)
    for title, where, reason in rows:
        console.print(Text(f"{title:<{width}}  {where}  {reason}".rstrip()), soft_wrap=True)
    console.print()


def _describe_flower(stack: Stack) -> tuple[str, str]:
    if "flower" not in stack.processes:
        return "no Flower.", NO_FLOWER
    if error := stack.skipped_processes.get("flower"):
        return "no Flower.", f"{error}{_suggest_port(error)}"
    return stack.flower_url, CHOICES["flower"].explain(stack.flower_port)


def _print_logs(console: Console, stack: Stack) -> None:
    """Print the logs of the gateway and the workers, and which processes exited, while the stack runs."""
    names = [process.name for process in stack.processes.values() if process.group == "darkroom"]
    colours = dict(zip(names, cycle(COLOURS), strict=False))
    follower = LogFollower({name: stack.log_file(name) for name in (*names, "supervisord")})
    while stack.is_alive():
        for name, line in follower.read_new_lines():
            if name in colours:
                print_log_line(console, name, line, colour=colours[name])
            elif "exited:" in line:
                console.print(Text(f"{'stack':<10} {line.partition('exited: ')[2]}", "bold red"), soft_wrap=True)
        time.sleep(FOLLOW_SECONDS)
    raise StackError(f"supervisord ended; {stack.log_file('supervisord')} may say why.")


def print_log_line(console: Console, name: str, line: str, *, colour: str) -> None:
    """Print a line of a process's log. It is not wrapped here, so that an id in it can be searched for and copied."""
    console.print(Text(f"{name:<10}", colour), Text.from_ansi(line), soft_wrap=True)
