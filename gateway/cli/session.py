"""A session: what every command needs, where the gateway is and how to speak to whoever called."""

from __future__ import annotations

import functools
import inspect
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Concatenate, ParamSpec

import httpx
import typer
from pydantic import BaseModel
from rich.console import Console, RenderableType
from rich.text import Text

from ..client import AsyncClient, Client
from ..client.connection import DEFAULT_URL, normalize_url
from ..client.problem import Problem
from ..client.retry import CallError, RetryPolicy
from .exit_codes import SERVER_ERROR, ExitCode, exit_code_of_problem
from .humanize import format_duration

P = ParamSpec("P")
CONNECTION = "Connection and output"
RATE_LIMIT_SECONDS = 600.0
"""How long a photo waits for its turn under a rate limit."""
DEFAULT_COLUMNS = 160  # columns where there is no terminal to ask


class CommandError(Exception):
    """What was asked for on the command line cannot be done."""


def _console(*, stderr: bool) -> Console:
    console = Console(stderr=stderr, highlight=False, soft_wrap=False)
    if not console.is_terminal and "COLUMNS" not in console._environ:  # noqa: SLF001  # or rich takes 80
        console.width = DEFAULT_COLUMNS
    return console


@dataclass(frozen=True, kw_only=True)
class Session:
    """One run of one command: people read `out`, programs the documents, and `notes` is what is said besides."""

    url: str
    api_key: str | None
    retry_seconds: float
    json: bool
    out: Console = field(default_factory=lambda: _console(stderr=False))
    notes: Console = field(default_factory=lambda: _console(stderr=True))

    def client(self, retry_seconds: float | None = None) -> Client:
        """Connect, for one question after another."""
        seconds = self.retry_seconds if retry_seconds is None else retry_seconds
        return Client(self.url, api_key=self.api_key, retry_policy=RetryPolicy(seconds=seconds, on_retry=self.on_retry))

    def async_client(self, on_retry: Callable[[CallError, float], None]) -> AsyncClient:
        """Connect, for many at a time: more than a rate limit lets through at once."""
        limit = max(RATE_LIMIT_SECONDS, self.retry_seconds) if self.retry_seconds else 0
        retry_policy = RetryPolicy(seconds=self.retry_seconds, rate_limit_seconds=limit, on_retry=on_retry)
        return AsyncClient(self.url, api_key=self.api_key, retry_policy=retry_policy)

    def print_result(
        self, document: BaseModel | Mapping[str, Any], shown: RenderableType | None, *, above_bars: bool = False
    ) -> None:
        """Say the document, on a line, or show it, whichever the caller reads; `above_bars` that are on `notes`."""
        if self.json:
            plain = document.model_dump(mode="json") if isinstance(document, BaseModel) else document
            sys.stdout.write(json.dumps(plain) + "\n")
            sys.stdout.flush()
        elif shown is not None:
            one_terminal = sys.stdout.isatty() and sys.stderr.isatty()
            (self.notes if above_bars and one_terminal else self.out).print(shown, soft_wrap=isinstance(shown, Text))

    def print_note(self, text: str, style: str = "") -> None:
        """Say something besides."""
        self.notes.print(Text(text, style), soft_wrap=True)

    def on_retry(self, failure: CallError, pause: float) -> None:
        """Say that there will be another attempt."""
        self.print_note(f"{describe_error(failure)} Trying again in {format_duration(pause * 1000)}.", "yellow")

    def print_error(self, code: str, detail: str, problem: Problem | None = None) -> None:
        """Say what went wrong: to a program as the gateway's problem documents do."""
        if self.json:
            document = problem.document if problem else {"code": code, "detail": detail}
            sys.stderr.write(json.dumps(document) + "\n")
            return
        self.print_note(detail, "red")
        for error in problem.errors if problem else ():
            self.print_note(f"  {error.get('pointer', '')} {error.get('message', '')}".rstrip(), "red")
        if problem and problem.status >= SERVER_ERROR and (request_id := problem.document.get("request_id")):
            self.print_note(f"  The gateway's logs know it as {request_id}.", "dim")


def describe_error(failure: CallError) -> str:
    """Return a sentence on what went wrong."""
    if isinstance(failure, Problem):
        return str(failure)
    return f"No answer from the gateway: {str(failure) or type(failure).__name__}."


def command(run: Callable[Concatenate[Session, P], ExitCode | None]) -> Callable[..., None]:
    """Make a typer command of a function of a session: it gets the options of all commands, its errors their exits."""

    @functools.wraps(run)
    def wrapped(
        *args: Any, url: str | None, api_key: str | None, patience: float, json_output: bool, **kwargs: Any
    ) -> None:
        try:
            where = normalize_url(url)
        except httpx.InvalidURL as error:
            raise typer.BadParameter(str(error), param_hint="--url") from error
        session = Session(url=where, api_key=api_key or None, retry_seconds=patience, json=json_output)
        raise typer.Exit(_run(session, functools.partial(run, session, *args, **kwargs)))

    wrapped.__doc__ = re.sub(r"(?<!\n)\n(?!\n)", " ", inspect.cleandoc(run.__doc__ or ""))  # help has its own lines
    set_parameters(wrapped, [*parameters_of(run)[1:], *parameters_of(_common_options)])
    return wrapped


def parameters_of(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """Return a function's parameters, their annotations as values."""
    return list(inspect.signature(function, eval_str=True).parameters.values())


def set_parameters(function: Callable[..., Any], parameters: Sequence[inspect.Parameter]) -> None:
    """Have typer, which reads signatures, see these parameters."""
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    function.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}


def _common_options(
    *,
    url: Annotated[
        str | None,
        typer.Option(
            envvar="DARKROOM_URL", help=f"Where the gateway is; {DEFAULT_URL} by default.", rich_help_panel=CONNECTION
        ),
    ] = None,
    api_key: Annotated[
        str | None,
        typer.Option(envvar="DARKROOM_API_KEY", help="The API key, if it wants one.", rich_help_panel=CONNECTION),
    ] = None,
    patience: Annotated[
        float,
        typer.Option(
            min=0, help="Seconds to go on trying while the gateway is away or busy.", rich_help_panel=CONNECTION
        ),
    ] = 30.0,
    json_output: Annotated[
        bool,
        typer.Option(
            "--json", help="Say JSON on stdout, and nothing else: a document a line.", rich_help_panel=CONNECTION
        ),
    ] = False,
) -> None:
    """Declare the options of every command."""


def _run(session: Session, run: Callable[[], ExitCode | None]) -> ExitCode:
    try:
        return run() or ExitCode.OK
    except KeyboardInterrupt:
        session.print_note("Interrupted.")
        return ExitCode.INTERRUPTED
    except Problem as problem:
        session.print_error(problem.code, str(problem), problem)
        return exit_code_of_problem(problem)
    except httpx.TransportError as error:
        session.print_error("unreachable", f"{describe_error(error)} Is it at {session.url}?")
        return ExitCode.UNAVAILABLE
    except BrokenPipeError:
        raise
    except (CommandError, OSError) as error:
        session.print_error("unusable", _sentence(error))
        return ExitCode.USAGE


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{Path(error.filename)}: {error.strerror}."
    return str(error)
