"""Where the load's imports come from: a server that fails the first request for half of its images."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

from tests.support.image_server import Scripted, ScriptedServer, run_scripted_server

FAILING_SHARE = 0.5


class ImageSource:
    """Serves each image that it is given, and says where. The seed decides which fail, and how."""

    def __init__(self, server: ScriptedServer, *, seed: int) -> None:
        self._server, self._seed = server, seed

    def offer(self, name: str, content: bytes) -> str:
        """Serve an image under its file name; return its URL."""
        whole, random = Scripted(content), Random(f"{self._seed} {name}")  # noqa: S311  not a secret
        half = len(content) // 2
        failures = (
            Scripted(status=503),
            Scripted(content, sent=half),
            Scripted(content, sent=half, is_silent=True),
        )
        first = random.choice(failures) if random.random() < FAILING_SHARE else whole
        return self._server.script(f"/{name}", first, whole)


@contextmanager
def run_image_source(*, seed: int) -> Iterator[ImageSource]:
    """Run one until the block ends."""
    with run_scripted_server() as server:
        yield ImageSource(server, seed=seed)
