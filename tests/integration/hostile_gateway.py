"""A gateway that answers honestly, apart from what a test replaces, over real sockets. It notes what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TASK_ID = "019392f0-7c1e-7d4a-b4d8-0f5e2c9a1b77"
IMAGE = b"what a gateway calls an image"
PIECE = b" " * 65536
CAPABILITIES = {"limits": {"upload_bytes": 1000}, "accepts": {"jpeg": "image/jpeg"}, "formats": ["jpeg"]}
ACCEPTED = {"task_id": TASK_ID, "status": "accepted"}
RENDITION = {"format": "jpeg", "width": 1, "height": 1, "bytes": len(IMAGE), "sha256": sha256(IMAGE).hexdigest()}
JOB = {
    "task_id": TASK_ID,
    "kind": "previews",
    "status": "done",
    "original": {"name": "beach.jpg", "bytes": 7},
    "stages": {"small": {"state": "done", "attempts": 1}},
    "renditions": {"small": RENDITION},
}


@dataclass(frozen=True, kw_only=True)
class HostileAnswer:
    """One answer. A body in pieces is sent in chunks, for as long as the client reads."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Iterable[bytes] = b""


@dataclass(frozen=True)
class SeenRequest:
    """A request as it arrived."""

    method: str
    path: str
    key: str | None
    """The Authorization header."""
    body: bytes


def json_answer(document: object, status: int = 200) -> HostileAnswer:
    """Return an answer with a JSON document."""
    return HostileAnswer(
        status=status, headers={"Content-Type": "application/json"}, body=json.dumps(document).encode()
    )


class HostileGateway:
    """Answers each path from `answers`, by its first segment: upload, task-status, result, jobs and so on.

    An iterator has an answer for each request.
    """

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.requests: list[SeenRequest] = []
        self.sent_bytes = 0
        self.answers: dict[str, HostileAnswer | Iterator[HostileAnswer]] = {
            "capabilities": json_answer(CAPABILITIES),
            "upload": json_answer(ACCEPTED, 202),
            "task-status": json_answer(JOB),
            "jobs": json_answer({"jobs": [JOB], "next": None}),
            "readyz": json_answer({"status": "ready", "checks": {"redis": {"ok": True}}}),
            "result": HostileAnswer(headers={"Content-Type": "image/jpeg"}, body=IMAGE),
        }

    def answer_job(self, **changes: Any) -> None:
        """Answer with this job."""
        self.answers["task-status"] = json_answer(JOB | changes)
        self.answers["jobs"] = json_answer({"jobs": [JOB | changes], "next": None})

    def answer(self, request: SeenRequest) -> HostileAnswer:
        """Note a request, and return its answer."""
        self.requests.append(request)
        found = self.answers.get(request.path.split("/")[1].partition("?")[0], HostileAnswer(status=404))
        return found if isinstance(found, HostileAnswer) else next(found)


def _handler(find_gateway: Callable[[], HostileGateway]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            gateway = find_gateway()
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            seen = SeenRequest(self.command, self.path, self.headers.get("Authorization"), body)
            answer = gateway.answer(seen)
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if isinstance(answer.body, bytes):
                self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            for piece in [answer.body] if isinstance(answer.body, bytes) else answer.body:
                self.wfile.write(piece)  # without a length the body ends with the connection
                gateway.sent_bytes += len(piece)

        do_GET = do_POST = do_DELETE = _serve  # noqa: N815  # the names that the base class calls

        def handle(self) -> None:
            with suppress(ConnectionError):
                super().handle()

        def log_message(self, *_: object) -> None:
            return

    return Handler


@contextmanager
def run_hostile_gateway() -> Iterator[HostileGateway]:
    """Serve until the block ends."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(lambda: gateway)) as server:
        gateway = HostileGateway(server.server_port)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield gateway
        finally:
            server.shutdown()
            thread.join()
