"""The `darkroom` command: use a gateway from a terminal or a script."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Annotated, Any

import typer

from ..client.defaults import VERSION
from .commands import bulk, gateway, jobs, link, listen, token, upload, watch, webhooks
from .exit_codes import EXIT_CODES_HELP, ExitCode
from .help_text import Command, Group
from .usage import UsageError, usage_line

PROGRAM = "darkroom"
PHOTOS, JOBS, BULK, EVENTS, GATEWAY = "Photos", "Jobs", "Many jobs", "Events", "Gateway"
COMMANDS = {
    PHOTOS: (upload.upload, watch.watch, upload.crop, upload.grayscale, upload.resize, upload.process),
    JOBS: (jobs.status, jobs.jobs, jobs.result, jobs.retry, jobs.reprocess, jobs.delete),
    BULK: (bulk.bulk, bulk.bulk_status, bulk.bulk_cancel),
    EVENTS: (listen.listen,),
    GATEWAY: (gateway.capabilities, gateway.health, token.token, link.link),
}

OPTIONS: dict[str, Any] = {
    "epilog": EXIT_CODES_HELP,
    "cls": Group,
    "rich_markup_mode": None,
    "pretty_exceptions_enable": False,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}
app = typer.Typer(
    name=PROGRAM,
    help="Upload photos to a Darkroom gateway, save the results, and manage its jobs.",
    no_args_is_help=True,
    **OPTIONS,
)
for panel, functions in COMMANDS.items():
    for function in functions:
        app.command(cls=Command, rich_help_panel=panel, epilog=EXIT_CODES_HELP)(function)
webhooks_app = typer.Typer(help="Have events sent to an address, and see what became of them.", **OPTIONS)
for name, function in webhooks.COMMANDS.items():
    webhooks_app.command(name, cls=Command, epilog=EXIT_CODES_HELP)(function)
app.add_typer(webhooks_app, name="webhooks", rich_help_panel=EVENTS)


def print_version(is_wanted: bool) -> None:
    """Print the version and exit, if it is wanted."""
    if is_wanted:
        typer.echo(f"{PROGRAM} {VERSION}")
        raise typer.Exit


@app.callback()
def _global_options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Declare the options of the program itself; its help is that of `app`."""


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a file name that the terminal cannot show is no error
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # so that open files are closed
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run a command line, and return its exit code. Without arguments, show the help."""
    try:
        status = app(list(arguments) or ["--help"], prog_name=PROGRAM, standalone_mode=False)
    except UsageError as error:
        sys.stderr.write(usage_line(error, PROGRAM) + "\n")
        return ExitCode.USAGE
    return int(status or ExitCode.OK) if arguments else ExitCode.USAGE
