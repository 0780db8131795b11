"""The commands about webhooks: `darkroom webhooks ...`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ..command import CommandError, command
from ..exit_codes import ExitCode

if TYPE_CHECKING:
    from ..session import Session

EVENTS = ("job.done", "job.failed", "job.dead", "job.cancelled", "job.expired", "rendition.done")
STATUSES = ("pending", "delivered", "failed")
DEFAULT_LIMIT = 20
DEFAULT_WAIT_SECONDS = 30.0
WebhookId = Annotated[str, typer.Argument(help="The id of the webhook.", metavar="WEBHOOK_ID", show_default=False)]
DeliveryId = Annotated[str, typer.Argument(help="The id of the delivery.", metavar="DELIVERY_ID", show_default=False)]
EventsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--event",
        "-e",
        help=f"A type of event to send: {', '.join(EVENTS)}. Repeat it for several.",
        autocompletion=lambda: list(EVENTS),
    ),
]


@command
def list_webhooks(session: Session) -> None:
    """List the webhooks, newest first. With --json, each is one line."""
    from ..webhook_views import webhooks_table

    with session.client() as darkroom:
        found = darkroom.webhooks()
        if session.json:
            for webhook in found:
                session.print_result(webhook, None)
        else:
            session.out.print(webhooks_table(found) if found else "No webhooks yet.")


@command
def create_webhook(
    session: Session,
    address: Annotated[str, typer.Argument(help="Where events are sent.", metavar="URL", show_default=False)],
    *,
    events: EventsOption = None,
    description: Annotated[str, typer.Option(help="A note for people.")] = "",
    thin: Annotated[bool, typer.Option("--thin", help="Send the id and the status of a job only.")] = False,
    disabled: Annotated[bool, typer.Option("--disabled", help="Send nothing yet.")] = False,
) -> None:
    """Have events sent to an address, and show the secret that they are signed with, this once.

    By default, all events but rendition.done are sent.
    """
    from ..webhook_views import secret_view

    with session.client() as darkroom:
        created = darkroom.create_webhook(
            address, events=events or None, description=description, thin=thin, disabled=disabled
        )
        session.print_result(created, secret_view(created))


@command
def show_webhook(session: Session, webhook_id: WebhookId) -> None:
    """Show a webhook: its address, its events, and whether they arrive."""
    from ..webhook_views import webhook_view

    with session.client() as darkroom:
        webhook = darkroom.webhook(webhook_id)
        session.print_result(webhook, webhook_view(webhook))


@command
def update_webhook(  # noqa: PLR0913  # the fields of a webhook
    session: Session,
    webhook_id: WebhookId,
    *,
    to: Annotated[str | None, typer.Option("--to", metavar="URL", help="The new address.")] = None,
    events: EventsOption = None,
    description: Annotated[str | None, typer.Option(help="A note for people.")] = None,
    thin: Annotated[
        bool | None, typer.Option("--thin/--full", help="Send the id and the status of a job only, or all of it.")
    ] = None,
    enabled: Annotated[
        bool | None, typer.Option("--enable/--disable", help="Send events, also the pending ones; or nothing.")
    ] = None,
) -> None:
    """Change a webhook. What is not given stays as it is."""
    if not events and all(value is None for value in (to, description, thin, enabled)):
        raise CommandError(
            "What is to change? Use --to, --event, --description, --thin, --full, --enable or --disable."
        )
    from ..webhook_views import webhook_view

    with session.client() as darkroom:
        webhook = darkroom.update_webhook(
            webhook_id,
            url=to,
            events=events or None,
            description=description,
            thin=thin,
            disabled=None if enabled is None else not enabled,
        )
        session.print_result(webhook, webhook_view(webhook))


@command
def delete_webhook(session: Session, webhook_id: WebhookId) -> None:
    """Remove a webhook with its deliveries: what is pending is not sent any more."""
    from ..timeline import id_line

    with session.client() as darkroom:
        darkroom.delete_webhook(webhook_id)
        session.print_result({"webhook_id": webhook_id, "deleted": True}, id_line(webhook_id, "removed"))


@command
def rotate_webhook_secret(
    session: Session,
    webhook_id: WebhookId,
    *,
    expires_in: Annotated[
        int | None, typer.Option(min=0, metavar="SECONDS", help="How long the old secret signs too; by default a day.")
    ] = None,
) -> None:
    """Replace the secret of a webhook, and show the new one, this once."""
    from ..webhook_views import secret_view

    with session.client() as darkroom:
        rotated = darkroom.rotate_webhook_secret(webhook_id, expires_in=expires_in)
        session.print_result(rotated, secret_view(rotated))


@command
def list_deliveries(
    session: Session,
    webhook_id: WebhookId,
    delivery_id: Annotated[
        str | None, typer.Argument(help="One delivery, to see all of it.", metavar="[DELIVERY_ID]", show_default=False)
    ] = None,
    *,
    status: Annotated[
        str | None,
        typer.Option(
            help=f"Only those with this status: {', '.join(STATUSES)}.", autocompletion=lambda: list(STATUSES)
        ),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="List at most this many.")] = DEFAULT_LIMIT,
) -> None:
    """List the deliveries of a webhook, newest first, or show one with its tries and its payload."""
    from ..webhook_views import deliveries_table, delivery_view

    with session.client() as darkroom:
        if delivery_id is not None:
            details = darkroom.delivery(webhook_id, delivery_id)
            session.print_result(details, delivery_view(details))
            return
        found = darkroom.deliveries(webhook_id, status=status, limit=limit)
        if session.json:
            for delivery in found:
                session.print_result(delivery, None)
        else:
            rows = list(found)
            session.out.print(deliveries_table(rows) if rows else "No deliveries.")


WaitOption = Annotated[
    float, typer.Option("--wait", min=0, metavar="SECONDS", help="How long to wait for the answer; 0: not at all.")
]


@command
def redeliver(
    session: Session, webhook_id: WebhookId, delivery_id: DeliveryId, *, wait: WaitOption = DEFAULT_WAIT_SECONDS
) -> ExitCode:
    """Send an event again, and show what is answered. The exit code is 1 unless that is a success."""
    from ..webhook_views import show_try

    with session.client() as darkroom:
        return show_try(session, darkroom, darkroom.redeliver(webhook_id, delivery_id), wait_seconds=wait)


@command
def send_test(session: Session, webhook_id: WebhookId, *, wait: WaitOption = DEFAULT_WAIT_SECONDS) -> ExitCode:
    """Send a test event to a webhook, and show what is answered. The exit code is 1 unless that is a success."""
    from ..webhook_views import show_try

    with session.client() as darkroom:
        return show_try(session, darkroom, darkroom.test_webhook(webhook_id), wait_seconds=wait)


COMMANDS = {
    "list": list_webhooks,
    "create": create_webhook,
    "show": show_webhook,
    "update": update_webhook,
    "delete": delete_webhook,
    "rotate": rotate_webhook_secret,
    "deliveries": list_deliveries,
    "redeliver": redeliver,
    "test": send_test,
}
"""The commands by their names in the group."""
