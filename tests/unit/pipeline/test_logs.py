"""Logs: every line in one format, no password in any, and nothing in them that is not what it seems."""

from __future__ import annotations

import io
import json
import logging
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any

import pytest
import structlog

from pipeline.logs import configure_logs, is_for_people

OURS = ("uvicorn", "uvicorn.error", "multiprocessing", "celery.app.trace", "py.warnings")
RESTLESS = ["\x1b[2J\x1b[H", "\x07", "\r", "\x9b31m", "\x7f", "\u202e", "\u2066", "\u2028", "\x85", "\ud800"]
ADDRESSES = [
    ("redis://:hunter2@cache:6379/0", "redis://:***@cache:6379/0"),
    ("redis://joe:hunter2@cache:6379/0", "redis://joe:***@cache:6379/0"),
    ("redis://joe:hun%40ter2@cache/0", "redis://joe:***@cache/0"),
    ("redis://joe:hunter2@2@cache/0", "redis://joe:***@cache/0"),
    ("rediss://cache?password=hunter2&db=1", "rediss://cache?password=***&db=1"),
    ("mongodb://ann:hunter2@a:27017,b:27017/darkroom?w=1", "mongodb://ann:***@a:27017,b:27017/darkroom?w=1"),
    ("mongodb+srv://ann:hunter2@a/darkroom", "mongodb+srv://ann:***@a/darkroom"),
    ("https://s3/b/k?X-Amz-Signature=hunter2&x=1", "https://s3/b/k?X-Amz-Signature=***&x=1"),
]
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
PLAIN = ["redis://cache:6379/0", "http://127.0.0.1:8001/docs", "write to joe@example.org: today", "at 12:30 @ home"]

Written = Callable[[], str]


@pytest.fixture(autouse=True)
def logging_restored() -> Iterator[None]:
    """Put the process's one logging back as it was."""
    root, before = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    others = {name: logging.getLogger(name) for name in OURS}
    states = {name: (each.handlers[:], each.level, each.propagate) for name, each in others.items()}
    yield
    logging.captureWarnings(capture=False)
    root.handlers[:], root.level = handlers, level
    for name, each in others.items():
        each.handlers[:], each.level, each.propagate = states[name]
    structlog.contextvars.clear_contextvars()
    structlog.configure(**before)


@pytest.fixture
def log() -> Any:
    return structlog.get_logger("test")


@pytest.fixture
def written(capsys: pytest.CaptureFixture[str]) -> Written:
    """Return what was logged since the last call."""
    return lambda: capsys.readouterr().err


@pytest.fixture
def line(written: Written) -> Callable[[], dict[str, Any]]:
    """Return the one line that was logged, as the program that collects it reads it."""

    def read() -> dict[str, Any]:
        [line] = written().splitlines()
        event: dict[str, Any] = json.loads(line)
        return event

    return read


Line = Callable[[], dict[str, Any]]


def test_an_event_is_one_json_object_with_what_was_bound(log: Any, line: Line) -> None:
    configure_logs("json")

    with structlog.contextvars.bound_contextvars(task_id="one"):
        log.info("stage.done", attempt=2)

    event = line()
    assert event.pop("timestamp")
    assert event == {"event": "stage.done", "task_id": "one", "attempt": 2, "level": "info", "logger": "test"}


@pytest.mark.parametrize("name", ["celery.worker.request", "kombu", "uvicorn.error", "multiprocessing"])
def test_a_line_of_another_library_goes_the_same_way(name: str, line: Line) -> None:
    configure_logs("json")

    with structlog.contextvars.bound_contextvars(task_id="one"):
        logging.getLogger(name).error("Task handler raised error: %r", OSError(2))

    event = line()
    assert (event["event"], event["task_id"], event["logger"]) == ("Task handler raised error: OSError(2)", "one", name)


def test_a_warning_goes_the_same_way(line: Line) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        configure_logs("json")
        warnings.warn("too old", UserWarning, stacklevel=1)

    assert "UserWarning: too old" in line()["event"]


@pytest.mark.parametrize("name", ["multiprocessing", "celery.worker.strategy", "pymongo.command", "opentelemetry.sdk"])
def test_a_library_that_tells_of_every_step_is_quiet(name: str, written: Written) -> None:
    configure_logs("json")

    logging.getLogger(name).info("I take the next step")

    assert not written()


def test_copies_of_a_line_for_other_handlers_are_left_out(line: Line) -> None:
    configure_logs("json")

    logging.getLogger("celery").error("failed", extra={"data": {"args": "('one',)"}, "color_message": "\x1b[1mfailed"})

    assert line().keys() == {"event", "level", "logger", "timestamp"}


@pytest.mark.parametrize("log_format", ["json", "console"])
@pytest.mark.parametrize(("address", "shown"), ADDRESSES)
def test_a_password_in_an_address_is_masked(
    log: Any, written: Written, log_format: str, address: str, shown: str
) -> None:
    configure_logs(log_format)

    log.info("a", at=address)
    log.info(address)
    log.info("a", several=[{"at": address}])
    log.info("a", error=repr(OSError(f"Cannot connect to {address}: refused")))
    logging.getLogger("kombu").info("Connected to %s", address)
    log.error("a", exc_info=OSError(address))

    text = written()
    assert "hunter2" not in text
    assert text.count(shown) >= 6


@pytest.mark.parametrize("log_format", ["json", "console"])
@pytest.mark.parametrize("text", PLAIN)
def test_what_is_no_password_is_left_as_it_is(log: Any, written: Written, log_format: str, text: str) -> None:
    configure_logs(log_format)

    log.info(text, path=text)

    assert written().count(text) == 2


def test_json_stays_whole_where_a_password_was_masked(log: Any, line: Line) -> None:
    configure_logs("json")

    log.info("a", one='redis://:p"w\\d@host', two="x@y", three=["redis://h:1", "x@y"])

    event = line()
    assert (event["one"], event["two"], event["three"]) == ("redis://:***@host", "x@y", ["redis://h:1", "x@y"])


def _log_everywhere(log: Any, text: str) -> None:
    """Log a text in every place that a line has for one."""
    log.info("event", path=f"/{text}", several=[text])
    log.info(text)
    logging.getLogger("uvicorn.error").error("Invalid request: %s", text)
    log.error("event", exc_info=ValueError(text))


@pytest.mark.parametrize("sign", RESTLESS)
def test_no_sign_that_moves_the_cursor_reaches_a_terminal(log: Any, written: Written, sign: str) -> None:
    configure_logs("console")

    _log_everywhere(log, sign)

    shown = COLOUR.sub("", written())
    assert not [each for each in shown if not each.isprintable() and each != "\n"]


@pytest.mark.parametrize("sign", RESTLESS)
def test_json_is_of_ascii_whatever_is_logged(log: Any, written: Written, sign: str) -> None:
    configure_logs("json")

    _log_everywhere(log, sign)

    lines = written().splitlines()
    assert all(line.isascii() for line in lines)
    assert len([json.loads(line) for line in lines]) == 4


def test_people_read_the_number_of_a_status(log: Any, written: Written) -> None:
    configure_logs("console")

    log.info("request.served", status=HTTPStatus.OK)

    assert re.sub(r"\x1b\[[\d;]*m", "", written()).rstrip().endswith("status=200")


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_line_cannot_be_forged(log: Any, written: Written, log_format: str) -> None:
    configure_logs(log_format)

    _log_everywhere(log, "x\nFORGED [info     ] job.accepted")

    assert not [line for line in written().splitlines() if line.startswith("FORGED")]


@pytest.mark.parametrize(
    ("log_format", "people"), [("console", True), ("json", False), ("auto", False)], ids=["console", "json", "file"]
)
def test_people_read_a_terminal_and_what_is_set_to_be_one(log_format: str, *, people: bool) -> None:
    assert is_for_people(log_format) is people


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), ValueError("I/O operation on closed file")])
def test_a_line_that_cannot_be_written_ends_nothing(
    log: Any, error: Exception, monkeypatch: pytest.MonkeyPatch, written: Written
) -> None:
    class Full(io.StringIO):
        def write(self, _: str) -> int:
            raise error

    monkeypatch.setattr(sys, "stderr", Full())
    configure_logs("json")

    log.info("stage.done")

    assert not written()


def test_an_event_below_info_is_left_out(log: Any, written: Written) -> None:
    configure_logs("json")

    log.debug("stage.done")

    assert not written()
