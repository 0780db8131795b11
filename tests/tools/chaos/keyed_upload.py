"""An upload of a fault's own, with an Idempotency-Key: over a socket, to be cut or slowed anywhere, and sent again."""

from __future__ import annotations

import json
import socket
import time
from contextlib import suppress
from functools import cache
from http.client import HTTPException

import httpx

from tests.integration.raw_http import build_head, form, part, read_response
from tests.support.http_options import HTTP_CLIENT_OPTIONS
from tests.support.images import encode_image, photo
from tests.tools.chaos.load import TIMEOUT, post_upload
from tests.tools.chaos.samples import Sample
from tests.tools.chaos.scene import Scene
from tests.tools.chaos.timing import ACCEPT_SECONDS
from tests.tools.chaos.violations import ViolationKind

PIECES = 20  # of a body that is sent slowly
NO_ANSWER = "none"


class KeyedUpload:
    """One upload, which is to have one job, however often and to whichever gateway it is sent."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._key = f"own-{time.time_ns()}"
        self._upload = scene.add_upload(_sample())

    def build_request(self, url: str) -> tuple[bytes, bytes]:
        """Return the head and the body of the request to the gateway with this URL."""
        sample = self._upload.sample
        body = form(part("file", sample.content, self._upload.name.encode()))
        return build_head(url, sample.path, Content_Length=len(body), Idempotency_Key=self._key), body

    def send_slowly(self, wire: socket.socket, url: str, seconds: float) -> str:
        """Send the request within that time, piece by piece; return the status of the answer, as `read_answer` does."""
        head, body = self.build_request(url)
        size = len(body) // PIECES + 1
        with suppress(OSError):  # a gateway may refuse it before its end, and then hang up
            wire.sendall(head)
            for start in range(0, len(body), size):
                time.sleep(seconds / PIECES)
                wire.sendall(body[start : start + size])
        return self.read_answer(wire)

    def read_answer(self, wire: socket.socket) -> str:
        """Wait for the answer and return its status, `none` if the connection ends without one."""
        status = NO_ANSWER
        with suppress(OSError, HTTPException):
            response, content = read_response(wire)
            status = str(response.status)
            if response.status == httpx.codes.ACCEPTED:
                self._check_job(json.loads(content)["task_id"])
        self._upload.answers.append(status)
        return status

    def send_again(self, url: str, *, after: str, seconds: float = ACCEPT_SECONDS) -> None:
        """Send it by a client that comes back as it is told. Report it if it is not accepted in time; `after` what."""
        earlier, deadline = self._upload.task_id, time.monotonic() + seconds
        with httpx.Client(timeout=TIMEOUT, **HTTP_CLIENT_OPTIONS) as client:
            while (pause := post_upload(client, url, self._upload, key=self._key)) is not None:
                if time.monotonic() > deadline:
                    answer = self._upload.answers[-1]
                    sentence = f"{self._upload.name} is answered {answer} {seconds:.0f} s after {after}"
                    self._scene.report(ViolationKind.REFUSED, sentence)
                    return
                time.sleep(pause)
        self._check_job(earlier)

    def report_no_answer(self, after: str) -> None:
        """Report that it was cut off."""
        self._scene.report(ViolationKind.REFUSED, f"{self._upload.name} was cut off without an answer after {after}")

    def _check_job(self, task_id: str | None) -> None:
        """Compare the job of one answer with that of another."""
        if self._upload.task_id is None:
            self._upload.task_id = task_id
        elif task_id not in {None, self._upload.task_id}:
            sentence = f"{self._upload.name} was answered with the job {task_id}, and with another one"
            self._scene.report(ViolationKind.DUPLICATE_EFFECT, sentence, self._upload.task_id)


@cache
def _sample() -> Sample:
    return Sample(name="keyed.jpg", content=encode_image(photo(1200, 900), "jpeg", quality=85))
