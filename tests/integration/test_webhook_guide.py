"""The receivers of the guide to webhooks, word for word: they verify events, and handle each once."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from deploy.local.ports import free_port
from pipeline.webhooks.signing import sign
from storage.clock import now_ms
from tests.integration.api_helpers import wait_until
from tests.integration.front_servers import find_program
from tests.support.http_options import HTTP_OPTIONS
from tests.support.locked_tools import install_npm_tools
from tests.support.programs import run_program
from tests.support.webhooks import SECRET

GUIDE = Path("deploy/docs/WEBHOOKS.md").read_text(encoding="utf-8")
TOOLS = Path(__file__).with_name("webhook_tools")
PROGRAMS: dict[str, Callable[[], str]] = {
    "receiver.mjs": lambda: find_program("node"),
    "receiver.py": lambda: sys.executable,
}


@contextmanager
def run_receiver(name: str, folder: Path, log: Path) -> Iterator[str]:
    """Run a receiver at another port, and return its address."""
    [text] = re.findall(rf"```\w+ {re.escape(name)}\n(.*?)```", GUIDE, re.DOTALL)
    port = free_port()
    (folder / name).write_text(text.replace("3000", str(port)), encoding="utf-8")
    if name.endswith(".mjs"):
        (folder / "node_modules").symlink_to(install_npm_tools(TOOLS).parent)
    url = f"http://127.0.0.1:{port}/hook"
    environment = {"DARKROOM_WEBHOOK_SECRET": SECRET, "PYTHONUNBUFFERED": "1"}
    with (
        log.open("wb") as output,
        run_program(
            PROGRAMS[name](), name, cwd=folder, environment=environment, stdout=output, stderr=subprocess.DEVNULL
        ) as process,
    ):
        wait_until(lambda: process.poll() is not None or is_listening(url), "the receiver")
        yield url
        assert process.poll() is None


def is_listening(url: str) -> bool:
    try:
        httpx.get(url, **HTTP_OPTIONS)
    except httpx.TransportError:
        return False
    return True


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_receiver_of_the_guide_handles_a_signed_event_once(name: str, tmp_path: Path) -> None:
    event = json.dumps({"type": "job.done", "data": {"task_id": "signed", "name": "été ☃"}}, ensure_ascii=False)
    headers = sign([SECRET], event_id="signed-1", at_ms=now_ms(), payload=event)
    log = tmp_path / "log"

    with run_receiver(name, tmp_path, log) as url:
        contents = [event.replace("signed", "forged"), event, event]
        statuses = [
            httpx.post(url, content=content.encode(), headers=headers, **HTTP_OPTIONS).status_code
            for content in contents
        ]

        assert statuses == [400, 204, 204]
        wait_until(lambda: log.read_text() == "job.done signed\n", "the one line")
