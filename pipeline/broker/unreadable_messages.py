"""Messages that this version cannot read: each is dropped, logged and counted. The sweeper sends its job's again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from storage.document_reader import summarize

MAX_LOGGED_CHARACTERS = 100

log = structlog.get_logger("broker")
_listeners: list[Callable[[], None]] = []


@contextmanager
def call_on_unreadable_message(listener: Callable[[], None]) -> Iterator[None]:
    """Call `listener` for each unreadable message that this process reports inside the block."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def report_unreadable_message(error: Exception, *, queue: object = None, message_id: object = None) -> None:
    """Log and count an unreadable message. Its content is not logged: anyone may have sent it."""
    log.error("message.unreadable", queue=_shorten(queue), message_id=_shorten(message_id), error=summarize(error))
    for listener in _listeners:
        listener()


def _shorten(value: object) -> str | None:
    return None if value is None else str(value)[:MAX_LOGGED_CHARACTERS]
