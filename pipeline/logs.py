"""Logs: structlog in every process; one JSON object per line in containers, colours on a terminal.

User input is not logged: no file names, contents, keys or headers. Where it must be, as the path of a request without
a route, it cannot forge a line: both JSON and the console escape it.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Callable, MutableMapping
from enum import Enum
from functools import cache
from typing import Any, TextIO

import structlog

_SHARED: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]
_QUIET = (
    "httpx",
    "httpcore",
    "pymongo",
    "asyncio",
    "celery.app.trace",
    "celery.worker.strategy",
    "multiprocessing",
    "opentelemetry",
    "uvicorn.access",  # the gateway logs requests itself
)
_OWN_OUTPUT = ("uvicorn", "uvicorn.error", "multiprocessing")
"""Loggers that do not propagate to the root or have their own handlers; `multiprocessing` is Celery's pool."""

_PASSWORD_IN_URL = re.compile(r"(\w://[^\s:/@]*):[^\s/]*@")
_SECRET_IN_QUERY = re.compile(
    r"([?&;][\w.-]*(?:password|secret|token|signature|credential)=)[^\s&;\"'\\]+", re.IGNORECASE
)

Event = MutableMapping[str, Any]


def configure_logs(log_format: str) -> None:
    """Write structlog's events and the standard library's records to standard error, in one format.

    Our own events do not pass through the standard library: its records would more than double their cost.
    """
    format_line: list[Any] = [structlog.processors.format_exc_info, *_renderers(log_format), _mask_secrets]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*_SHARED, structlog.stdlib.ExtraAdder(), _without_extras],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *format_line],
    )
    output = logging.StreamHandler(sys.stderr)
    output.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [output]
    root.setLevel(logging.INFO)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in _OWN_OUTPUT:
        logger = logging.getLogger(name)
        logger.handlers[:] = [output]
        logger.propagate = False
    logging.captureWarnings(capture=True)
    structlog.configure(
        processors=[*_SHARED, *format_line],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=lambda *args: _LineLogger(sys.stderr, *args),
        cache_logger_on_first_use=True,
    )


class _LineLogger:
    """Writes lines to a stream. Errors are ignored: a full disk under the log must not end what is logged.

    It has no lock, which a thread of the parent might hold at a fork: the stream writes a line at once.
    """

    def __init__(self, stream: TextIO, name: str = "") -> None:
        self.name = name
        self._stream = stream

    def info(self, line: str) -> None:
        """Write a line."""
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError):  # ValueError: the stream is closed
            return

    debug = warning = error = critical = info


def is_for_people(log_format: str) -> bool:
    """Whether people read the lines on a terminal; otherwise programs read JSON."""
    return log_format == "console" or (log_format == "auto" and sys.stderr.isatty())


def _renderers(log_format: str) -> list[structlog.typing.Processor]:
    if is_for_people(log_format):
        return [_escape_unprintable, structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    return [structlog.processors.JSONRenderer(serializer=lambda event, default: _json_encoder(default).encode(event))]


@cache
def _json_encoder(default: Callable[[Any], Any]) -> json.JSONEncoder:
    """Return the one encoder of the process: `json.dumps` makes one for each line."""
    return json.JSONEncoder(default=default)


def _without_extras(_: object, __: str, event: Event) -> Event:
    """Remove fields that libraries add for their own handlers."""
    for name in ("data", "color_message"):  # Celery's arguments; uvicorn's copy of the message
        event.pop(name, None)
    return event


def _escape_unprintable(_: object, __: str, event: Event) -> Event:
    """Escape characters that would move the cursor, break the line or display something misleading."""
    traceback = event.pop("exception", None)
    for name, value in event.items():
        if isinstance(value, Enum):  # the console would show an HTTPStatus as <HTTPStatus.OK: 200>
            value = event[name] = value.value  # noqa: PLW2901
        if isinstance(value, str) and not value.isprintable():
            event[name] = _escape(value)
    if traceback:  # indented, so that none of its lines looks like another event
        event["exception"] = "\n".join(f"    {_escape(line)}" for line in traceback.splitlines())
    return event


def _escape(text: str) -> str:
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _mask_secrets(_: object, __: str, line: str) -> str:
    """Mask passwords and other secrets in the URLs of a line: drivers put URLs into their errors."""
    if "@" in line:
        line = _PASSWORD_IN_URL.sub(r"\1:***@", line)
    if "=" in line:
        line = _SECRET_IN_QUERY.sub(r"\1***", line)
    return line
