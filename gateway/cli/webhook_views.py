"""Webhooks and deliveries as text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from time import monotonic, sleep

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..client.client import Client
from ..client.webhook_models import DeliveryDetails, DeliveryStatus, TryStatus, Webhook, WebhookWithSecret
from .exit_codes import ExitCode
from .humanize import format_duration, format_time, replace_unprintable
from .session import Session
from .timeline import id_line, plain_table

STYLES = {"pending": "yellow", "delivered": "green", "failed": "bold red"}
POLL_SECONDS = 0.5
OK = range(200, 300)


def webhooks_table(webhooks: Sequence[Webhook]) -> Table:
    """Return a table of webhooks, one row each."""
    table = plain_table("webhook id", "state", "events", "address")
    for webhook in webhooks:
        table.add_row(webhook.webhook_id, _state(webhook), ", ".join(webhook.events), replace_unprintable(webhook.url))
    return table


def webhook_view(webhook: Webhook) -> RenderableType:
    """Return the view of a webhook."""
    facts = plain_table("name", "value")
    facts.show_header = False
    rows = {
        "address": webhook.url,
        "events": ", ".join(webhook.events),
        "description": webhook.description,
        "payload": "thin" if webhook.thin else "",
        "disabled since": format_time(webhook.disabled_at) if webhook.disabled_at else "",
        "failing since": format_time(webhook.failing_since) if webhook.failing_since else "",
        "next delivery": format_time(webhook.next_delivery_at) if webhook.next_delivery_at else "",
        "old secret signs until": format_time(webhook.old_secret_expires_at) if webhook.old_secret_expires_at else "",
        "of the settings": "yes" if webhook.fixed else "",
    }
    for name, value in rows.items():
        if value:
            facts.add_row(Text(name, "dim"), Text(replace_unprintable(value)))
    return Group(id_line(webhook.webhook_id, _state(webhook)), facts)


def secret_view(webhook: WebhookWithSecret) -> RenderableType:
    """Return the view of a webhook with its new secret, which has a line of its own."""
    note = Text("Keep the secret: it is not shown again.", "yellow")
    return Group(webhook_view(webhook), note, Text(replace_unprintable(webhook.secret)))


def deliveries_table(deliveries: Sequence[DeliveryStatus]) -> Table:
    """Return a table of deliveries, one row each, with the last answer of each."""
    table = plain_table("created", "event", "status", ">tries", "last answer", "next try", "delivery id")
    for delivery in deliveries:
        table.add_row(
            format_time(delivery.created_at),
            replace_unprintable(delivery.type),
            _style(delivery.status),
            str(delivery.try_count),
            _answer(delivery.tries[-1]) if delivery.tries else "",
            format_time(delivery.next_try_at) if delivery.next_try_at else "",
            delivery.delivery_id,
        )
    return table


def delivery_view(delivery: DeliveryStatus) -> RenderableType:
    """Return the view of a delivery: its tries with what was answered, and its payload if it has one."""
    heading = id_line(delivery.delivery_id, _style(delivery.status), f"  {replace_unprintable(delivery.type)}")
    tries = plain_table("tried", ">took", "answer", "first bytes")
    for made in delivery.tries:
        tries.add_row(
            format_time(made.at),
            format_duration(made.duration_ms),
            _answer(made),
            Text(replace_unprintable(made.answer), "dim"),
        )
    parts: list[RenderableType] = [heading, *([tries] if delivery.tries else [])]
    if isinstance(delivery, DeliveryDetails):
        parts.append(Text(json.dumps(delivery.payload, indent=2)))
    return Group(*parts)


def show_try(session: Session, darkroom: Client, delivery: DeliveryStatus, *, wait_seconds: float) -> ExitCode:
    """Wait for the next try of a delivery that was made due just now, and print it."""
    deadline = monotonic() + wait_seconds
    known = [made.at for made in delivery.tries]
    while [made.at for made in delivery.tries] == known and delivery.status == "pending" and monotonic() < deadline:
        sleep(POLL_SECONDS)
        delivery = darkroom.delivery(delivery.webhook_id, delivery.delivery_id)
    session.print_result(delivery, delivery_view(_without_payload(delivery)))
    is_failure = delivery.status != "delivered" and wait_seconds > 0
    return ExitCode.JOB_FAILED if is_failure else ExitCode.OK


def _without_payload(delivery: DeliveryStatus) -> DeliveryStatus:
    return DeliveryStatus.model_validate(delivery.model_dump(exclude={"payload"}))


def _state(webhook: Webhook) -> Text:
    if webhook.disabled:
        reason = {"gone": ": it answered 410", "failing": ": it failed for days"}.get(webhook.disabled_reason or "", "")
        return Text(f"disabled{reason}", "bold red" if reason else "magenta")
    return Text("failing", "yellow") if webhook.failing_since else Text("enabled", "green")


def _style(status: str) -> Text:
    return Text(replace_unprintable(status), STYLES.get(status, ""))


def _answer(made: TryStatus) -> Text:
    if made.status is None:
        return Text(replace_unprintable(made.error or "none"), "red")
    return Text(str(made.status), "green" if made.status in OK else "red")
