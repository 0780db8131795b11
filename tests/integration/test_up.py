"""`./run up` as a person has it: where it listens, who else runs, how it is saved and how it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest

from deploy.local.home import ROOT
from deploy.local.ports import free_port
from deploy.local.process_startup import StackObserver, State
from deploy.local.stack import Stack
from deploy.local.supervisord_control import PortInUse
from tests.integration.api_helpers import submit_photo, wait_for_end, wait_until
from tests.support.http_options import HTTP_CLIENT_OPTIONS, HTTP_OPTIONS
from tests.support.images import encode_image, photo
from tests.support.programs import run_program

SECONDS = 120


class Up:
    """One `./run up` under way."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, environment: Mapping[str, str]) -> None:
        self.process, self.log, self.environment = process, log, environment

    @property
    def said(self) -> str:
        return self.log.read_text(errors="replace")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.environment['DARKROOM_PORT']}"

    def also(self, *command: str, **environment: str) -> tuple[int, str]:
        """Run one of our modules beside it; its exit status, and all that it said."""
        told = {**os.environ, **self.environment, **environment}
        done = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=ROOT,
            env=told,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr


def _occupy(resources: ExitStack, *ports: int) -> None:
    """See to it that somebody listens there: we, unless somebody does already."""
    for port in ports:
        with suppress(OSError):
            resources.enter_context(socket.create_server(("127.0.0.1", port)))


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A running `up`, in a folder with an unusual name, while the usual ports of the page and of Flower are in use."""
    folder = tmp_path_factory.mktemp("up")
    here = {"DARKROOM_HOME": str(folder / "ein Ordner, für 100 %"), "DARKROOM_PORT": str(free_port())}
    with ExitStack() as resources, (folder / "log").open("wb") as log:
        taken = resources.enter_context(ExitStack())
        _occupy(taken, 8000, 5555)
        process = resources.enter_context(
            run_program(sys.executable, "-m", "deploy.local", "up", cwd=ROOT, stdout=log, stderr=log, environment=here)
        )
        up = Up(process, folder / "log", here)
        wait_until(lambda: "Ctrl-C stops it" in up.said or process.poll() is not None, "up to be ready", SECONDS)
        taken.close()
        wait_until(lambda: "Data" in up.said, f"up, which says {up.said}")
        yield up
        process.send_signal(signal.SIGINT)
        process.wait(SECONDS)


def test_each_process_is_told_of_once_it_is_ready(up: Up) -> None:
    ready = {line.split()[0] for line in up.said.splitlines() if " is ready after " in line and line.startswith("  ")}

    assert {"redis", "mongo", "gateway", "resize", "flower", "frontend"} <= ready


def test_addresses_are_right_and_a_port_that_is_not_the_usual_one_is_explained(up: Up) -> None:
    rows = {line.split("  ")[0]: line for line in up.said.splitlines()}
    page, flower = rows["Page"].split()[1], rows["Tasks"].split()[1]

    assert rows["API"].split() == ["API", up.url]
    assert "port 8000 is in use by another program; DARKROOM_UI_PORT chooses another" in rows["Page"]
    assert "port 5555 is in use by another program; DARKROOM_FLOWER_PORT chooses another" in rows["Tasks"]
    for url in (page, f"{page}/api/readyz", f"{up.url}/docs", f"{up.url}/readyz", f"{flower}/healthcheck"):
        assert httpx.get(url, **HTTP_OPTIONS).status_code == 200


def test_a_second_one_over_the_same_folder_says_so(up: Up) -> None:
    status, said = up.also("deploy.local", "up")

    assert status == 1
    assert said.splitlines()[1:] == [
        f"Darkroom is already running on {up.environment['DARKROOM_HOME']} (process {up.process.pid})."
    ]


def test_a_second_one_over_another_folder_says_which_port_to_change(up: Up, tmp_path: Path) -> None:
    status, said = up.also("deploy.local", "up", DARKROOM_HOME=str(tmp_path))

    port = int(up.environment["DARKROOM_PORT"])
    assert status == 1
    assert said.splitlines()[1].startswith(f"Port {port}, meant for the gateway, is in use by another program. ")
    assert said.endswith(f" Another can be chosen: DARKROOM_PORT={port + 1} ./run up\n")
    assert len(said.splitlines()) == 2


def test_a_backup_finds_what_runs(up: Up, tmp_path: Path) -> None:
    with httpx.Client(base_url=up.url, **HTTP_CLIENT_OPTIONS) as client:
        wait_for_end(client, submit_photo(client, encode_image(photo(), "jpeg")))

    saved = up.also("deploy.admin.backup", "save", str(tmp_path / "backup"))
    verified = up.also("deploy.admin.backup", "verify", str(tmp_path / "backup"))
    refused = up.also("deploy.admin.backup", "restore", str(tmp_path / "backup"))
    restored = up.also(
        "deploy.admin.backup", "restore", str(tmp_path / "backup"), DARKROOM_HOME=str(tmp_path / "other")
    )

    assert saved == (0, "1 jobs, 0 idempotency keys, 0 token uses, 0 webhooks, 4 blobs\n")
    assert verified == saved
    assert refused == (1, f"backup: A `./run up` runs on {up.environment['DARKROOM_HOME']}: stop it first.\n")
    assert restored == (0, "1 jobs, 0 idempotency keys, 0 token uses, 0 webhooks, 4 blobs\n")


def test_a_backup_of_nothing_says_so_at_once(up: Up, tmp_path: Path) -> None:
    status, said = up.also(
        "deploy.admin.backup", "save", str(tmp_path / "backup"), DARKROOM_HOME=str(tmp_path / "none")
    )

    assert status == 1
    assert said == (f"backup: No `./run up` runs on {tmp_path / 'none'}, and DARKROOM_MONGO_URL names no server.\n")
    assert not (tmp_path / "backup").exists()


def test_an_interrupt_stops_everything_and_the_folder_is_free_again(up: Up) -> None:
    up.process.send_signal(signal.SIGINT)
    up.process.send_signal(signal.SIGINT)

    assert up.process.wait(SECONDS) == 0
    assert up.said.endswith("Stopping ...\nStopped. Unfinished jobs go on at the next start.\n")
    assert "Traceback" not in up.said
    with Stack(up.environment["DARKROOM_HOME"], gateway=False, workers=False):
        pass


class Taker(StackObserver):
    """Listens on a port as soon as the start has begun."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.server: socket.socket | None = None

    def on_starting(self, states: Mapping[str, State]) -> None:
        if self.server is None:
            assert "starting" in states.values()
            self.server = socket.create_server(("127.0.0.1", self.port))

    def on_stopping(self) -> None:
        if self.server is not None:
            self.server.close()


def test_flower_is_left_out_when_its_port_is_taken_during_the_start(tmp_path: Path) -> None:
    stack = Stack(tmp_path, gateway=False, workers=False, flower=True)
    stack.observer = Taker(stack.flower_port)

    with stack:
        assert str(stack.skipped_processes["flower"]) == (
            f"Port {stack.flower_port}, meant for the flower, is in use by another program."
        )
        with pytest.raises(ProcessLookupError):
            stack.pid("flower")


def test_another_port_that_is_taken_during_the_start_ends_it_with_one_line(tmp_path: Path) -> None:
    stack = Stack(tmp_path, gateway=False, workers=False)
    stack.observer = Taker(stack.mongo_port)

    with pytest.raises(PortInUse, match=f"^Port {stack.mongo_port}, meant for the mongo, is in use by another"), stack:
        pass

    assert not stack.is_alive()
