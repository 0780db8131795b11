"""`darkroom watch` against a running gateway: what lands in a folder becomes one job for each content."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from uuid import uuid4

import httpx
import pytest

from deploy.local.ports import free_port
from deploy.local.stack import Stack
from gateway.cli.journal import JOURNAL_NAME
from tests.integration.api_helpers import wait_until
from tests.integration.faulty_proxy import ProxyFault, run_faulty_proxy
from tests.integration.test_cli import SECONDS, Darkroom, environment, states
from tests.support.images import encode_image, photo
from tests.support.programs import run_program

QUICK = ("--settle", "0.3", "--interval", "0.1", "--json")
SLOW = ("--settle", "4", "--interval", "0.1", "--json")


class Folder:
    """A watched folder, whose photos have names that no other test uses."""

    def __init__(self, path: Path) -> None:
        self.path, self._mark = path, uuid4().hex[:8]
        path.mkdir()

    def name(self, number: int) -> str:
        return f"{self._mark}-{number}.jpg"

    def put(self, number: int, *, width: int = 0, folder: str = ".") -> Path:
        """Write a photo under a hidden name and rename it: it is complete from the start."""
        path = self.path / folder / self.name(number)
        path.parent.mkdir(exist_ok=True)
        hidden = path.with_name(f".{path.name}")
        hidden.write_bytes(encode_image(photo(width or 200 + number, 150), "jpeg"))
        return hidden.rename(path)

    def jobs(self, client: httpx.Client) -> list[str]:
        """Return the names of the jobs that were made of the photos, a name for each job."""
        listed = client.get("/jobs", params={"limit": 100}).raise_for_status().json()["jobs"]
        return sorted(job["name"] for job in listed if (job["name"] or "").startswith(self._mark))

    def wait_for_jobs(self, client: httpx.Client, *numbers: int) -> None:
        expected = sorted(map(self.name, numbers))
        wait_until(lambda: self.jobs(client) == expected, f"the jobs {expected}")


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "camera")


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run of the command, whose output is in files."""

    program: subprocess.Popen[bytes]
    out: Path
    notes: Path

    def wait_for_documents(self, count: int) -> None:
        """Wait until the command has printed so many: a job is there before its answer."""
        wait_until(lambda: self.out.read_text().count("\n") >= count, f"{count} printed documents")

    def interrupt(self, *, after: int) -> list[dict[str, Any]]:
        """Interrupt the command after it has printed so many documents, and return all that it has printed."""
        self.wait_for_documents(after)
        self.program.send_signal(signal.SIGINT)
        assert self.program.wait(SECONDS) == 130
        return [json.loads(line) for line in self.out.read_text().splitlines()]


@contextmanager
def watching(folder: Folder, url: str, *options: str) -> Iterator[Run]:
    """Run the command until the block ends."""
    output = Path(mkdtemp(prefix="output-", dir=folder.path.parent))
    command = [sys.executable, "-m", "gateway.cli", "watch", "camera", *(options or QUICK)]
    with (output / "out").open("wb") as out, (output / "notes").open("wb") as notes:
        places: dict[str, Any] = {"cwd": folder.path.parent, "stdout": out, "stderr": notes}
        with run_program(*command, environment=environment(url), **places) as program:
            yield Run(program=program, out=output / "out", notes=output / "notes")


def test_each_photo_that_lands_becomes_a_job_until_the_command_is_interrupted(
    folder: Folder, stack: Stack, client: httpx.Client
) -> None:
    folder.put(1)
    with watching(folder, stack.url) as run:
        folder.wait_for_jobs(client, 1)
        folder.put(2, folder="trip")
        (folder.path / "notes.txt").write_text("no photo")
        folder.wait_for_jobs(client, 1, 2)
        documents = run.interrupt(after=2)

    assert [(document["file"], document["outcome"]) for document in documents] == [
        (folder.name(1), "accepted"),
        (f"trip/{folder.name(2)}", "accepted"),
    ]
    assert "2 photos: 2 accepted." in run.notes.read_text()


def test_a_photo_that_is_still_written_is_uploaded_once_and_whole(
    folder: Folder, stack: Stack, client: httpx.Client
) -> None:
    content = encode_image(photo(2000, 1500), "png")
    with watching(folder, stack.url, *SLOW), (folder.path / folder.name(1)).open("wb") as file:
        pieces = iter(range(0, len(content), 1000))
        folder.put(2)

        def write_a_little() -> bool:
            start = next(pieces)
            file.write(content[start : start + 1000])
            file.flush()
            return folder.name(2) in folder.jobs(client)

        wait_until(write_a_little, "a photo that is complete")
        file.write(content[file.tell() :])
        file.close()
        folder.wait_for_jobs(client, 1, 2)

    (job,) = [job for job in client.get("/jobs", params={"limit": 100}).json()["jobs"] if job["name"] == folder.name(1)]
    assert client.get(f"/task-status/{job['task_id']}").json()["original"]["bytes"] == len(content)


def test_a_restart_uploads_nothing_again(folder: Folder, stack: Stack, client: httpx.Client) -> None:
    first = folder.put(1)
    with watching(folder, stack.url) as run:
        run.wait_for_documents(1)
    os.utime(first, ns=(1, 1))

    folder.put(2)
    with watching(folder, stack.url) as run:
        folder.wait_for_jobs(client, 1, 2)
        documents = run.interrupt(after=1)

    assert [document["file"] for document in documents] == [folder.name(2)]
    assert folder.jobs(client) == [folder.name(1), folder.name(2)]


def test_a_touched_photo_is_the_same_and_one_with_other_bytes_is_not(
    folder: Folder, stack: Stack, client: httpx.Client
) -> None:
    touched, changed = folder.put(1), folder.put(2)
    with watching(folder, stack.url) as run:
        run.wait_for_documents(2)
        os.utime(touched, ns=(5, 5))
        changed.unlink()
        folder.put(2, width=333)
        folder.wait_for_jobs(client, 1, 2, 2)
        journal = folder.path / JOURNAL_NAME
        wait_until(lambda: '"mtime_ns": 5' in journal.read_text(), "the touched photo to be looked at")

    assert folder.jobs(client) == sorted(map(folder.name, (1, 2, 2)))


def test_a_killed_run_goes_on_and_makes_no_second_job(folder: Folder, stack: Stack, client: httpx.Client) -> None:
    journal = folder.path / JOURNAL_NAME
    folder.put(1)
    faults: list[ProxyFault] = ["lose the answer", *["busy"] * 1000]  # type: ignore[list-item]
    with run_faulty_proxy(stack.url, "/upload", *faults) as server:
        with watching(folder, server.url) as run:
            wait_until(lambda: len(server.keys) > 1, "a lost answer")
            run.program.kill()
        server.faults.clear()

        with watching(folder, server.url):
            wait_until(lambda: "accepted" in states(journal), "the photo to be accepted")

    folder.wait_for_jobs(client, 1)
    assert len(set(server.keys)) == 1


def test_a_gateway_that_is_not_there_yet_is_waited_for(folder: Folder, stack: Stack, client: httpx.Client) -> None:
    port = free_port()
    folder.put(1)
    with watching(folder, f"http://127.0.0.1:{port}", *QUICK, "--patience", "0") as run:
        wait_until(lambda: "unreachable" in run.notes.read_text(), "the command to have asked")
        with run_faulty_proxy(stack.url, "/upload", port=port):
            folder.wait_for_jobs(client, 1)


def test_results_are_saved_and_are_no_photos(folder: Folder, stack: Stack, client: httpx.Client) -> None:
    results = folder.path / "results"
    folder.put(1)
    with watching(folder, stack.url, *QUICK, "--out", "camera/results") as run:
        wait_until(lambda: "done" in states(results / JOURNAL_NAME), "the photo to be saved")
        folder.put(2)
        wait_until(lambda: states(results / JOURNAL_NAME).count("done") == 2, "the other one to be saved")
        documents = run.interrupt(after=2)

    assert [document["outcome"] for document in documents] == ["done", "done"]
    assert len(list(results.glob("*-small.jpg"))) == 2
    assert folder.jobs(client) == [folder.name(1), folder.name(2)]


def test_a_photo_that_is_refused_is_told_once_and_another_one_goes_on(
    folder: Folder, stack: Stack, client: httpx.Client
) -> None:
    (folder.path / folder.name(1)).write_bytes(b"no photo at all")
    with watching(folder, stack.url) as run:
        journal = folder.path / JOURNAL_NAME
        wait_until(lambda: "refused" in states(journal), "the refusal")
        folder.put(2)
        folder.wait_for_jobs(client, 2)
        documents = run.interrupt(after=2)

    assert [(document["outcome"], document["code"]) for document in documents] == [
        ("refused", "unsupported_format"),
        ("accepted", None),
    ]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("missing",), "No such folder"),
        (("camera", "--out", "camera"), "--out must be another folder"),
        (("camera", "--out", "."), "--out must be another folder"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_a_folder_that_cannot_be_watched_ends_the_command(
    tmp_path: Path, stack: Stack, arguments: tuple[str, ...], reason: str
) -> None:
    ended = Darkroom(tmp_path, stack.url)("watch", *arguments)

    assert ended.status == 2
    assert reason in ended.err


def test_two_commands_do_not_watch_one_folder(folder: Folder, stack: Stack) -> None:
    with watching(folder, stack.url):
        wait_until((folder.path / JOURNAL_NAME).exists, "the first command")

        second = Darkroom(folder.path.parent, stack.url)("watch", "camera")

    assert second.status == 2
    assert "Another darkroom command is using" in second.err
