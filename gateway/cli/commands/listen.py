"""The command that prints events as they happen, and forwards them to a program on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ..command import command
from .webhooks import EVENTS

if TYPE_CHECKING:
    from ..session import Session

TYPES = tuple(each for each in EVENTS if each != "rendition.done")
SECRET_VARIABLE = "DARKROOM_WEBHOOK_SECRET"  # noqa: S105  # its name


@command
def listen(
    session: Session,
    *,
    events: Annotated[
        list[str] | None,
        typer.Option(
            "--event",
            "-e",
            help=f"Only this type of event: {', '.join(TYPES)}. Repeat it for several.",
            autocompletion=lambda: list(TYPES),
        ),
    ] = None,
    forward: Annotated[
        str | None, typer.Option(metavar="URL", help="Post each event to this address, such as that of a program here.")
    ] = None,
    secret_file: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help=f"The file of the secret that signs what is forwarded, or - for stdin; by default ${SECRET_VARIABLE}.",
        ),
    ] = None,
    thin: Annotated[bool, typer.Option("--thin", help="Get the id and the status of jobs only.")] = False,
    after: Annotated[
        str | None, typer.Option(metavar="POSITION", help="Begin after this event, its position in --json.")
    ] = None,
) -> None:
    """Print the events of all jobs as they happen, until the command is interrupted.

    This is for development: with --forward, a program on this machine gets them as a webhook would, without an address
    that the gateway can reach. Each event is forwarded once, whatever is answered.
    """
    from ..forwarding import Forwarder, event_line, read_webhook_secret

    forwarder = None if forward is None else Forwarder(forward, read_webhook_secret(secret_file))
    with session.client() as darkroom:
        session.print_note("Listening. Interrupt with Ctrl-C.", "dim")
        for event in darkroom.events(events or None, thin=thin, after=after):
            session.print_result(event, event_line(event))
            if forwarder is not None:
                session.print_note(*forwarder.forward(event))
