"""A loopback HTTP server that hands files to a page in a browser, and takes the page's readings."""

from __future__ import annotations

import json
import queue
import secrets
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar, Self
from urllib.parse import parse_qsl, urlsplit

from stages.formats import HEAD_BYTES, MEDIA_TYPES, sniff

_PAGE = Path(__file__).with_name("chromium_page.html")
_POLL_SECONDS = 1
Answer = tuple[int, dict[str, str], bytes]
"""An order's number, the facts that the page found, and the pixels."""


class PageServer:
    """The server, and the two queues to it and from it. Its paths begin with a secret that only the page knows."""

    def __init__(self, side: int) -> None:
        self._side, self._secret = side, secrets.token_urlsafe()
        self.orders: queue.Queue[int] = queue.Queue()
        self.answers: queue.Queue[Answer] = queue.Queue()
        self.files: dict[int, Path] = {}
        self._http = _QuietServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"page": self}))
        self._thread = Thread(target=self._http.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    @property
    def url(self) -> str:
        """The address of the page."""
        return f"http://127.0.0.1:{self._http.server_address[1]}/{self._secret}/"

    def is_known(self, path: str) -> bool:
        """Whether a request comes from the page."""
        return secrets.compare_digest(path.split("/")[1], self._secret)

    def next_order(self) -> bytes | None:
        """Return the next order as JSON once there is one, or None so that the page asks again."""
        try:
            number = self.orders.get(timeout=_POLL_SECONDS)
        except queue.Empty:
            return None
        return json.dumps({"id": number, "type": _media_type(self.files[number]), "side": self._side}).encode()


def _media_type(file: Path) -> str:
    with file.open("rb") as content:
        sniffed = sniff(content.read(HEAD_BYTES))
    return MEDIA_TYPES[sniffed.format] if sniffed else ""


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Print nothing: a browser that is stopped leaves its connections."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one segment: else each answer waits 40 ms for an acknowledgement
    page: ClassVar[PageServer]

    def do_GET(self) -> None:
        name, number = self._split_path()
        if name == "file" and int(number) in self.page.files:
            self._answer(HTTPStatus.OK, self.page.files[int(number)].read_bytes(), "application/octet-stream")
        elif name == "":
            self._answer(HTTPStatus.OK, _PAGE.read_bytes(), "text/html")
        else:
            self._answer(HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:
        name, number = self._split_path()
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if name == "order":
            order = self.page.next_order()
            self._answer(HTTPStatus.OK if order else HTTPStatus.NO_CONTENT, order or b"", "application/json")
        elif name == "reading":
            self.page.answers.put((int(number), dict(parse_qsl(urlsplit(self.path).query)), body))
            self._answer(HTTPStatus.OK)
        else:
            self._answer(HTTPStatus.NOT_FOUND)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's word
        pass

    def _split_path(self) -> tuple[str, str]:
        """Return what is asked for and its number; nothing is known without the secret."""
        path = urlsplit(self.path).path
        if not self.page.is_known(path):
            return "unknown", ""
        name, _, number = path.split("/", 2)[2].partition("/")
        return name, number

    def _answer(self, status: HTTPStatus, body: bytes = b"", media_type: str = "text/plain") -> None:
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)
