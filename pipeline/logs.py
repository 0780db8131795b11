"""Logs: structlog for every process, one JSON object a line in containers, colours on a terminal.

What a user sends is not logged: no file names, no contents, no keys, no headers. What must be said of it anyway, such
as the path of a request that no route takes, cannot forge a line: JSON escapes it, and so does the console.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from enum import Enum
from typing import Any

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
    "uvicorn.access",  # the gateway writes its own line about a request
)
_OWN_OUTPUT = ("uvicorn", "uvicorn.error", "multiprocessing")
"""Loggers that do not hand on to the root, or have an output of their own; `multiprocessing` is Celery's pool."""

_PASSWORD_IN_URL = re.compile(r"(\w://[^\s:/@]*):[^\s/]*@")
_SECRET_IN_QUERY = re.compile(
    r"([?&;][\w.-]*(?:password|secret|token|signature|credential)=)[^\s&;\"'\\]+", re.IGNORECASE
)

Event = MutableMapping[str, Any]


def configure_logs(log_format: str) -> None:
    """Send structlog's events and the standard library's records through one formatter to standard error."""
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*_SHARED, structlog.stdlib.ExtraAdder(), _without_extras],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            *_renderers(log_format),
            _mask_secrets,
        ],
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
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def is_for_people(log_format: str) -> bool:
    """Whether lines are read on a terminal, and not by a program."""
    return log_format == "console" or (log_format == "auto" and sys.stderr.isatty())


def _renderers(log_format: str) -> list[structlog.typing.Processor]:
    if is_for_people(log_format):
        return [_escape_unprintable, structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    return [structlog.processors.JSONRenderer()]


def _without_extras(_: object, __: str, event: Event) -> Event:
    """Leave out what other libraries add to a line for handlers of their own: copies of it, and arguments."""
    for name in ("data", "color_message"):  # Celery's and uvicorn's
        event.pop(name, None)
    return event


def _escape_unprintable(_: object, __: str, event: Event) -> Event:
    """Escape what would move the cursor, end a line, or otherwise show something that is not there."""
    traceback = event.pop("exception", None)
    for name, value in event.items():
        if isinstance(value, Enum):  # such as an HTTPStatus, which the console would show as <HTTPStatus.OK: 200>
            value = event[name] = value.value  # noqa: PLW2901
        if isinstance(value, str) and not value.isprintable():
            event[name] = _escape(value)
    if traceback:  # of many lines, none of which may pass for another event
        event["exception"] = "\n".join(f"    {_escape(line)}" for line in traceback.splitlines())
    return event


def _escape(text: str) -> str:
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def _mask_secrets(_: object, __: str, line: Any) -> str:
    """Mask passwords in whatever addresses a line contains: drivers put theirs into errors."""
    return _SECRET_IN_QUERY.sub(r"\1***", _PASSWORD_IN_URL.sub(r"\1:***@", line))
