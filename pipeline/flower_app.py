"""Flower with a guard before it and a memory in one file."""

from __future__ import annotations

import hmac
import pickle
from base64 import b64encode
from collections import Counter
from http import HTTPStatus
from pathlib import Path
from typing import Any

import structlog
from flower.app import Flower  # type: ignore[import-untyped]
from flower.events import Events, EventsState  # type: ignore[import-untyped]
from tornado.httputil import HTTPMessageDelegate, HTTPServerRequest
from tornado.web import RequestHandler

log = structlog.get_logger("flower")


class ReadOnlyFlower(Flower):  # type: ignore[misc]  # Flower has no types
    """Flower behind one guard: nobody without the credentials, and nothing but reading for anybody.

    Flower itself leaves its metrics open to all, and asks in each route that changes something whether it may.
    """

    def __init__(self, credentials: str, prefix: str, **options: Any) -> None:
        """Guard what is below `prefix` with `user:password`; no credentials let everybody read."""
        self._public_path = f"{prefix}/healthcheck"  # for probes; it tells nothing
        self._posts = {f"{prefix}/tasks/datatable"}  # the table of tasks asks with POST, and changes nothing
        self._expected = b"Basic " + b64encode(credentials.encode()) if credentials else b""
        super().__init__(**options)

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> HTTPMessageDelegate:
        """Choose who answers: a refusal, or Flower."""
        refusal = self._refusal(request)
        if refusal is None:
            answer: HTTPMessageDelegate = super().find_handler(request, **kwargs)
        else:
            answer = self.get_handler_delegate(request, RefusalHandler, {"status": refusal})
        return answer

    def _refusal(self, request: HTTPServerRequest) -> HTTPStatus | None:
        given = request.headers.get("Authorization", "").encode()
        if self._expected and request.path != self._public_path and not hmac.compare_digest(given, self._expected):
            return HTTPStatus.UNAUTHORIZED
        if request.method != "GET" and request.path not in self._posts:
            return HTTPStatus.METHOD_NOT_ALLOWED
        return None


class RefusalHandler(RequestHandler):
    """Answers in Flower's place."""

    def initialize(self, status: HTTPStatus) -> None:
        """Refuse with this status."""
        self.status = status

    def check_xsrf_cookie(self) -> None:
        """Nothing is done that somebody else's page could make a browser do."""

    def prepare(self) -> None:
        """Answer."""
        self.set_status(self.status)
        if self.status == HTTPStatus.UNAUTHORIZED:
            self.set_header("WWW-Authenticate", 'Basic realm="Darkroom"')
        else:
            self.set_header("Allow", "GET")
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(self.status.description)


class PersistentEvents(Events):  # type: ignore[misc]  # Flower has no types
    """Flower's events, kept in one file that is replaced whole.

    Its own way, `shelve`, is another format in each build of Python, several files in some.
    """

    events_enable_interval = 1000  # ms; until it is asked, a new worker tells nothing of its tasks

    def load_state(self) -> EventsState | None:
        """Return what was saved; None when there is nothing, or nothing that can be read."""
        file = Path(self.db)
        try:
            state, counts = pickle.loads(file.read_bytes())  # noqa: S301  # from our own folder, which is nobody else's
        except FileNotFoundError:
            return None
        except Exception:
            log.exception("flower.memory_lost")
            file.replace(file.with_suffix(".unreadable"))
            return None
        state.counter.update(counts)
        for task in sorted(state.tasks.values(), key=lambda task: task.timestamp or 0):
            state.tasks.get(task.uuid)  # the one touched longest ago makes room; unpickling touched them in any order
        return state

    def save_state(self) -> None:
        """Save everything in memory."""
        file = Path(self.db)
        counts: dict[str, Counter[str]] = dict(self.state.counter)
        unfinished = file.with_suffix(".new")
        unfinished.write_bytes(pickle.dumps((self.state, counts)))
        unfinished.replace(file)
