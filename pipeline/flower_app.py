"""Flower behind an access check, with its state saved in one file."""

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
    """Flower behind one access check: credentials are required, and only reading is allowed.

    Flower's own checks are not enough: its metrics are open to all, and each route that changes something has its own.
    """

    def __init__(self, credentials: str, prefix: str, **options: Any) -> None:
        """Protect all paths below `prefix` with `user:password`; with empty credentials everybody can read."""
        self._public_path = f"{prefix}/healthcheck"  # for probes; it shows no data
        self._read_only_posts = {f"{prefix}/tasks/datatable"}  # the task table reads with POST
        self._expected = b"Basic " + b64encode(credentials.encode()) if credentials else b""
        super().__init__(**options)

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> HTTPMessageDelegate:
        """Return Flower's handler, or one that refuses the request."""
        refusal = self._refusal_status(request)
        if refusal is None:
            handler: HTTPMessageDelegate = super().find_handler(request, **kwargs)
        else:
            handler = self.get_handler_delegate(request, RefusalHandler, {"status": refusal})
        return handler

    def _refusal_status(self, request: HTTPServerRequest) -> HTTPStatus | None:
        header = request.headers.get("Authorization", "").encode()
        if self._expected and request.path != self._public_path and not hmac.compare_digest(header, self._expected):
            return HTTPStatus.UNAUTHORIZED
        if request.method != "GET" and request.path not in self._read_only_posts:
            return HTTPStatus.METHOD_NOT_ALLOWED
        return None


class RefusalHandler(RequestHandler):
    """Answers a refused request instead of Flower."""

    def initialize(self, status: HTTPStatus) -> None:
        """Set the status of the refusal."""
        self.status = status

    def check_xsrf_cookie(self) -> None:
        """Skip Tornado's check: a refusal changes nothing, so a forged request does no harm."""

    def prepare(self) -> None:
        """Send the refusal."""
        self.set_status(self.status)
        if self.status == HTTPStatus.UNAUTHORIZED:
            self.set_header("WWW-Authenticate", 'Basic realm="Darkroom"')
        else:
            self.set_header("Allow", "GET")
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(self.status.description)


class PersistentEvents(Events):  # type: ignore[misc]  # Flower has no types
    """Flower's events, saved in one file that is replaced as a whole.

    Flower uses `shelve`, whose format depends on the build of Python; in some builds it is several files.
    """

    events_enable_interval = 1000  # ms; a new worker sends no events before it is asked

    def load_state(self) -> EventsState | None:
        """Return the saved state; None when there is none or it cannot be read."""
        file = Path(self.db)
        try:
            state, counts = pickle.loads(file.read_bytes())  # noqa: S301  # from a folder that only we can write
        except FileNotFoundError:
            return None
        except Exception:
            log.exception("flower.state_unreadable")
            file.replace(file.with_suffix(".unreadable"))
            return None
        state.counter.update(counts)
        for task in sorted(state.tasks.values(), key=lambda task: task.timestamp or 0):
            state.tasks.get(task.uuid)  # the least recently used is dropped first; unpickling loses that order
        return state

    def save_state(self) -> None:
        """Save the whole state."""
        file = Path(self.db)
        counts: dict[str, Counter[str]] = dict(self.state.counter)
        new_file = file.with_suffix(".new")
        new_file.write_bytes(pickle.dumps((self.state, counts)))
        new_file.replace(file)
