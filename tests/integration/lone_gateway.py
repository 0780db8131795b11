"""A gateway of a test's own, in a process that the test may signal: beside a stack's servers, without supervisord."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from deploy.local.ports import free_port
from deploy.local.stack import Stack
from tests.conftest import SHORT_TIMEOUTS
from tests.integration.api_helpers import wait_until
from tests.support.http_options import HTTP_OPTIONS
from tests.support.programs import run_logged_program


@dataclass(frozen=True)
class LoneGateway:
    """A running gateway."""

    url: str
    process: subprocess.Popen[bytes]
    blob_folder: Path

    def is_ready(self) -> bool:
        """Whether it answers, and its stores too."""
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5, **HTTP_OPTIONS).is_success
        except httpx.TransportError:
            return False


@contextmanager
def run_lone_gateway(stack: Stack, folder: Path, *wrapper: str, **environment: str) -> Iterator[LoneGateway]:
    """Run a gateway on a stack's servers, with blobs in a folder; `wrapper` is a command before it."""
    port, log = free_port(), folder / "log"
    stores = {"DARKROOM_REDIS_URL": stack.redis_url, "DARKROOM_MONGO_URL": stack.mongo_url}
    blobs = {"DARKROOM_BLOB_URL": (folder / "blobs").as_uri()}
    command = (*wrapper, sys.executable, "-m", "gateway", "--port", str(port))
    settings = SHORT_TIMEOUTS | stores | blobs | environment
    with run_logged_program(*command, log=log, **settings) as process:
        gateway = LoneGateway(f"http://127.0.0.1:{port}", process, folder / "blobs")
        wait_until(lambda: gateway.is_ready() or process.poll() is not None, "the gateway")
        assert process.poll() is None, log.read_text()
        yield gateway
