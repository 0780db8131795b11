"""The declaration of a command: typer reads its parameters, and its session is imported only when it runs."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, ParamSpec

import typer

from ..client.defaults import DEFAULT_URL
from .exit_codes import ExitCode

if TYPE_CHECKING:
    from .session import Session

P = ParamSpec("P")
connection_option = functools.partial(typer.Option, rich_help_panel="Connection and output")


class CommandError(Exception):
    """The command line cannot be carried out as given. The message is shown to the user."""


def command(run: Callable[Concatenate[Session, P], ExitCode | None]) -> Callable[..., None]:
    """Turn a function of a session into a typer command, with the common options; errors become exit codes."""

    @functools.wraps(run)
    def wrapped(
        *args: Any, url: str | None, api_key: str | None, patience: float, json_output: bool, **kwargs: Any
    ) -> None:
        from .session import open_session, run_in_session  # httpx, pydantic and rich

        session = open_session(url, api_key=api_key, retry_seconds=patience, json=json_output)
        raise typer.Exit(run_in_session(session, functools.partial(run, session, *args, **kwargs)))

    wrapped.__doc__ = re.sub(
        r"(?<!\n)\n(?!\n)", " ", inspect.cleandoc(run.__doc__ or "")
    )  # typer wraps the help itself
    set_parameters(wrapped, [*parameters_of(run)[1:], *parameters_of(_common_options)])
    return wrapped


def parameters_of(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """Return a function's parameters, with evaluated annotations: that of a session is not imported for it."""
    signature = inspect.signature(function, locals={"Session": Any}, eval_str=True)
    return list(signature.parameters.values())


def set_parameters(function: Callable[..., Any], parameters: Sequence[inspect.Parameter]) -> None:
    """Give a function these parameters, for typer, which reads signatures and annotations."""
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    function.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}


def _common_options(
    *,
    url: Annotated[
        str | None, connection_option(envvar="DARKROOM_URL", help=f"Address of the gateway; by default {DEFAULT_URL}.")
    ] = None,
    api_key: Annotated[
        str | None, connection_option(envvar="DARKROOM_API_KEY", help="API key, if the gateway requires one.")
    ] = None,
    patience: Annotated[
        float, connection_option(min=0, help="How many seconds to retry while the gateway is unreachable or busy.")
    ] = 30.0,
    json_output: Annotated[
        bool, connection_option("--json", help="Write only JSON to stdout: one document on each line.")
    ] = False,
) -> None:
    """Declare the options of every command."""
