"""The entries of a queue in Redis: each is a message as text. What no worker can read is dropped."""

from __future__ import annotations

from typing import Any

from kombu.utils.json import dumps, loads

from pipeline.broker.message_schema import check_envelope
from pipeline.broker.unreadable_messages import report_unreadable_message


class Entry(dict[str, Any]):
    """A parsed entry, which keeps its text: Redis gets the same text again while a worker holds the message."""

    text: str


def parse_entry(text: str) -> Any:
    """Parse an entry; None when it is no JSON, which `deliver_readable` and `restore_readable` refuse."""
    try:
        parsed = loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(parsed, dict):
        return parsed
    entry = Entry(parsed)
    entry.text = text
    return entry


def entry_text(entry: dict[str, Any]) -> str:
    """Return the text of an entry."""
    return entry.text if isinstance(entry, Entry) else dumps(entry)


def deliver_readable(deliver: Any) -> Any:
    """Return a function that delivers an entry like kombu's `deliver`, but drops an unreadable one.

    Redis has it no more. In kombu it ends the worker.
    """

    def deliver_or_drop(self: Any, entry: Any, queue: str) -> None:
        try:
            check_envelope(entry)
        except ValueError as error:
            report_unreadable_message(error, queue=queue)
            return
        deliver(self, entry, queue)

    return deliver_or_drop


def restore_readable(restore: Any) -> Any:
    """Return a function that returns an unacknowledged entry to its queue like kombu's `restore`.

    It raises ValueError for one that no worker could take.
    """

    def restore_or_raise(self: Any, entry: Any, exchange: Any, routing_key: Any, *args: Any) -> None:
        check_envelope(entry)
        if not (isinstance(exchange, str) and isinstance(routing_key, str)):
            raise ValueError("it has no queue")  # noqa: TRY004  # as `check_envelope` does
        restore(self, entry, exchange, routing_key, *args)

    return restore_or_raise
