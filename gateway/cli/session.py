"""The session of a command: the gateway's address, the retry settings, and the output as text or JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import typer
from pydantic import BaseModel
from rich.console import Console, RenderableType
from rich.text import Text

from ..client import AsyncClient, Client
from ..client.connection import normalize_url
from ..client.problem import Problem
from ..client.retry import CallError, RetryPolicy
from .command import CommandError
from .console import PlainTextConsole
from .errors import SERVER_ERROR, describe_error, exit_code_of_problem
from .exit_codes import ExitCode
from .humanize import format_duration

RATE_LIMIT_SECONDS = 600.0
"""How long an upload is retried while the gateway answers 429, unless --patience is longer or 0."""
DEFAULT_COLUMNS = 160  # where there is no terminal


def _console(*, stderr: bool) -> Console:
    console = PlainTextConsole(stderr=stderr, soft_wrap=False)
    if not console.is_terminal and "COLUMNS" not in console._environ:  # noqa: SLF001  # rich's default is 80
        console.width = DEFAULT_COLUMNS
    return console


@dataclass(frozen=True, kw_only=True)
class Session:
    """One run of one command. `out` is stdout for people; `notes` is stderr for messages."""

    url: str
    api_key: str | None
    retry_seconds: float
    json: bool
    out: Console = field(default_factory=lambda: _console(stderr=False))
    notes: Console = field(default_factory=lambda: _console(stderr=True))

    def client(self, retry_seconds: float | None = None) -> Client:
        """Return a blocking client that retries for `retry_seconds`, by default --patience."""
        seconds = self.retry_seconds if retry_seconds is None else retry_seconds
        return Client(self.url, api_key=self.api_key, retry_policy=RetryPolicy(seconds=seconds, on_retry=self.on_retry))

    def async_client(self, on_retry: Callable[[CallError, float], None]) -> AsyncClient:
        """Return a client for concurrent uploads. It waits longer for a rate limit, which they may well reach."""
        limit = max(RATE_LIMIT_SECONDS, self.retry_seconds) if self.retry_seconds else 0
        retry_policy = RetryPolicy(seconds=self.retry_seconds, rate_limit_seconds=limit, on_retry=on_retry)
        return AsyncClient(self.url, api_key=self.api_key, retry_policy=retry_policy)

    def print_result(
        self, document: BaseModel | Mapping[str, Any], view: RenderableType | None, *, above_bars: bool = False
    ) -> None:
        """Print the document as a line of JSON with --json, else the view, if there is one.

        Set `above_bars` while progress bars are on `notes`: if both streams are one terminal, the view goes to `notes`.
        """
        if self.json:
            plain = document.model_dump(mode="json") if isinstance(document, BaseModel) else document
            sys.stdout.write(json.dumps(plain) + "\n")
            sys.stdout.flush()
        elif view is not None:
            is_one_terminal = sys.stdout.isatty() and sys.stderr.isatty()
            (self.notes if above_bars and is_one_terminal else self.out).print(view, soft_wrap=isinstance(view, Text))

    def print_note(self, text: str, style: str = "") -> None:
        """Print a message to stderr."""
        self.notes.print(Text(text, style), soft_wrap=True)

    def on_retry(self, failure: CallError, pause: float) -> None:
        """Print the failure, and the seconds until the next attempt."""
        self.print_note(f"{describe_error(failure)} Trying again in {format_duration(pause * 1000)}.", "yellow")

    def print_error(self, code: str, detail: str, problem: Problem | None = None) -> None:
        """Print an error to stderr: with --json as a problem document, else as text."""
        if self.json:
            document = problem.document if problem else {"code": code, "detail": detail}
            sys.stderr.write(json.dumps(document) + "\n")
            return
        self.print_note(detail, "red")
        for error in problem.errors if problem else ():
            self.print_note(f"  {error.get('pointer', '')} {error.get('message', '')}".rstrip(), "red")
        if problem and problem.status >= SERVER_ERROR and (request_id := problem.document.get("request_id")):
            self.print_note(f"  Request id in the gateway's logs: {request_id}.", "dim")


def open_session(url: str | None, *, api_key: str | None, retry_seconds: float, json: bool) -> Session:
    """Return the session of a command line. Raises `typer.BadParameter` if the address cannot be one of a gateway."""
    try:
        address = normalize_url(url)
    except httpx.InvalidURL as error:
        raise typer.BadParameter(str(error), param_hint="--url") from error
    return Session(url=address, api_key=api_key or None, retry_seconds=retry_seconds, json=json)


def run_in_session(session: Session, run: Callable[[], ExitCode | None]) -> ExitCode:
    """Run a command, print its error if it has one, and return its exit code."""
    try:
        return run() or ExitCode.OK
    except KeyboardInterrupt:
        session.print_note("Interrupted.")
        return ExitCode.INTERRUPTED
    except Problem as problem:
        session.print_error(problem.code, str(problem), problem)
        return exit_code_of_problem(problem)
    except httpx.TransportError as error:
        session.print_error("unreachable", f"{describe_error(error)} Is the gateway running at {session.url}?")
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
