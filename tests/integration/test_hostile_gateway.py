"""The `darkroom` command and a hostile gateway: a clear error, nothing written elsewhere, no key given away."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

from deploy.local.processes import ROOT
from tests.integration.hostile_gateway import (
    ACCEPTED,
    CAPABILITIES,
    IMAGE,
    JOB,
    PIECE,
    RENDITION,
    TASK_ID,
    HostileAnswer,
    HostileGateway,
    json_answer,
    run_hostile_gateway,
)
from tests.support.programs import fork

KEY = "the-key-of-a-caller"
SECONDS = 60
MAX_READ_BYTES = 64 << 20
PATHS = ["x/../../../stolen", "/srv/stolen", "a\0b"]
COMMANDS = {
    "upload": ("upload", "beach.jpg", "--out", "out"),
    "status": ("status", TASK_ID),
    "result": ("result", TASK_ID, "-o", "out"),
    "jobs": ("jobs",),
    "capabilities": ("capabilities",),
    "health": ("health",),
}


@pytest.fixture
def gateway() -> Iterator[HostileGateway]:
    with run_hostile_gateway() as gateway:
        yield gateway


@pytest.fixture
def elsewhere() -> Iterator[HostileGateway]:
    """Another origin."""
    with run_hostile_gateway() as gateway:
        yield gateway


class Caller:
    """Runs the command in a folder with a photo and a folder for results."""

    def __init__(self, home: Path, gateway: HostileGateway) -> None:
        self.home = home
        self.folder = home / "a" / "b"
        (self.folder / "out").mkdir(parents=True)
        (self.folder / "beach.jpg").write_bytes(b"a photo")
        self._url = gateway.url

    def run(self, *arguments: str) -> tuple[int, str]:
        """Return the exit code and all that the command printed."""
        output = Path(mkdtemp(prefix="output-", dir=self.home.parent))
        env = {"DARKROOM_URL": self._url, "DARKROOM_API_KEY": KEY, "PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]}
        ended = fork("gateway.cli.app", *arguments, "--patience", "0", cwd=self.folder, env=env, output=output)
        status = ended.wait(SECONDS)
        return status, (ended.out.read_bytes() + ended.err.read_bytes()).decode()

    def written_files(self) -> list[str]:
        """Return the files that the command has written, apart from its journal."""
        files = [path.relative_to(self.folder).as_posix() for path in self.home.rglob("*") if path.is_file()]
        return sorted(file for file in files if file != "beach.jpg" and not file.endswith(".jsonl"))


@pytest.fixture
def caller(tmp_path: Path, gateway: HostileGateway) -> Caller:
    return Caller(tmp_path / "home", gateway)


def test_the_answers_of_an_honest_gateway_are_accepted(caller: Caller) -> None:
    ended = {name: caller.run(*command) for name, command in COMMANDS.items()}

    assert {name: status for name, (status, _) in ended.items() if status} == {}, ended
    assert caller.written_files() == ["out/beach-small.jpg", "out/small.jpg"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("field", ["rendition", "format", "kind", "task_id", "stage"])
def test_no_name_of_a_gateway_becomes_a_path(caller: Caller, gateway: HostileGateway, field: str, path: str) -> None:
    changes: dict[str, dict[str, Any]] = {
        "rendition": {"renditions": {path: RENDITION}},
        "format": {"renditions": {"small": RENDITION | {"format": path}}},
        "kind": {"kind": path, "renditions": {"output": RENDITION}},
        "task_id": {"task_id": path},
        "stage": {"stages": {path: {"state": "done"}}},
    }
    gateway.answer_job(**changes[field])

    status, said = caller.run(*COMMANDS["upload"])

    assert (status, caller.written_files()) == (3, [])
    assert "is not a Darkroom answer" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("task_id", PATHS)
def test_no_id_of_a_gateway_becomes_a_path(caller: Caller, gateway: HostileGateway, task_id: str) -> None:
    gateway.answers["upload"] = json_answer({"task_id": task_id, "status": "accepted"}, 202)

    status, said = caller.run(*COMMANDS["upload"])

    assert (status, caller.written_files()) == (3, [])
    assert {request.path.split("?")[0] for request in gateway.requests} == {"/capabilities", "/upload"}
    assert "is not a Darkroom answer" in said


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ("inline; filename*=UTF-8''..%2F..%2Fstolen.jpg", "stolen.jpg"),
        ('inline; filename=".bashrc"', "bashrc.jpg"),
        ('inline; filename="beach-small.webp"', "beach-small.webp"),
    ],
)
def test_a_result_gets_the_name_of_an_image_in_its_folder(
    caller: Caller, gateway: HostileGateway, disposition: str, name: str
) -> None:
    headers = {"Content-Type": "image/jpeg", "Content-Disposition": disposition}
    gateway.answers["result"] = HostileAnswer(headers=headers, body=IMAGE)

    status, said = caller.run(*COMMANDS["result"])

    assert (status, caller.written_files()) == (0, [f"out/{name}"]), said


@pytest.mark.parametrize("name", ["exe", "html"])
def test_an_uploads_result_gets_no_extension_but_that_of_an_image(
    caller: Caller, gateway: HostileGateway, name: str
) -> None:
    gateway.answer_job(renditions={"small": RENDITION | {"format": name}})

    status, said = caller.run(*COMMANDS["upload"])

    assert (status, caller.written_files()) == (0, ["out/beach-small.bin"]), said


def test_only_images_are_uploaded_from_a_folder_whatever_the_gateway_accepts(
    caller: Caller, gateway: HostileGateway
) -> None:
    gateway.answers["capabilities"] = json_answer(CAPABILITIES | {"accepts": {"jpeg": "image/jpeg", "pem": "image/x"}})
    (caller.folder / "secret.pem").write_bytes(b"a private key")

    caller.run("upload", ".", "--out", "out")

    bodies = [request.body for request in gateway.requests if request.method == "POST"]
    assert len(bodies) == 1
    assert b"a photo" in bodies[0]


@pytest.mark.parametrize("status", [302, 307])
@pytest.mark.parametrize("command", [("upload", "beach.jpg"), ("retry", TASK_ID), ("delete", TASK_ID)], ids=" ".join)
def test_what_changes_anything_is_sent_to_no_other_origin(
    caller: Caller, gateway: HostileGateway, elsewhere: HostileGateway, command: tuple[str, ...], status: int
) -> None:
    redirect = HostileAnswer(status=status, headers={"Location": f"{elsewhere.url}/upload"})
    gateway.answers |= {"upload": redirect, "jobs": redirect}

    exit_code, said = caller.run(*command)

    assert elsewhere.requests == []
    assert (exit_code, elsewhere.url in said) == (4, True), said


@pytest.mark.parametrize("status", [302, 307])
def test_another_origin_gets_no_key(
    caller: Caller, gateway: HostileGateway, elsewhere: HostileGateway, status: int
) -> None:
    gateway.answers["result"] = HostileAnswer(status=status, headers={"Location": f"{elsewhere.url}/result/x"})
    links = {"status": f"{elsewhere.url}/task-status/x", "result": f"{elsewhere.url}/result/x"}
    gateway.answer_job(links=links, renditions={"small": RENDITION | {"url": f"{elsewhere.url}/result/x"}})

    exit_code, said = caller.run(*COMMANDS["upload"])

    assert exit_code == 0, said
    assert {request.key for request in gateway.requests} == {f"Bearer {KEY}"}
    assert [(request.method, request.path, request.key) for request in elsewhere.requests] == [
        ("GET", "/result/x", None)
    ]


@pytest.mark.parametrize("location", ["/result/x", "file:///etc/passwd", "http://[", "//"])
def test_redirects_without_end_or_sense_are_errors(caller: Caller, gateway: HostileGateway, location: str) -> None:
    gateway.answers["result"] = HostileAnswer(status=302, headers={"Location": location})

    status, said = caller.run(*COMMANDS["result"])

    assert (status, caller.written_files()) == (3, [])
    assert "Traceback" not in said
    assert len(gateway.requests) < 10


@pytest.mark.parametrize("command", ["status", "upload"])
@pytest.mark.parametrize("host", ["a..b", "a" * 300], ids=["empty label", "long label"])
def test_a_redirect_to_no_host_name_is_an_error(
    caller: Caller, gateway: HostileGateway, command: str, host: str
) -> None:
    redirect = HostileAnswer(status=302, headers={"Location": f"http://{host}/"})
    gateway.answers = dict.fromkeys(gateway.answers, redirect)

    status, said = caller.run(*COMMANDS[command])

    assert (status, caller.written_files()) == (3, [])
    assert "Traceback" not in said
    assert "invalid host name" in said


@pytest.mark.parametrize("status", [200, 400, 503])
@pytest.mark.parametrize(("command", "path"), [("upload", "upload"), ("status", "task-status"), ("jobs", "jobs")])
def test_an_answer_without_end_is_not_read_to_its_end(
    caller: Caller, gateway: HostileGateway, command: str, path: str, status: int
) -> None:
    gateway.answers[path] = HostileAnswer(status=status, body=repeat(PIECE, 8 * MAX_READ_BYTES // len(PIECE)))

    exit_code, said = caller.run(*COMMANDS[command])

    assert exit_code in {3, 4}, said
    assert gateway.sent_bytes < MAX_READ_BYTES
    assert len(said) < 2000


@pytest.mark.parametrize("jobs", [[], [JOB]], ids=["empty", "equal"])
def test_a_list_of_jobs_that_does_not_end_is_an_error(
    caller: Caller, gateway: HostileGateway, jobs: list[object]
) -> None:
    gateway.answers["jobs"] = repeat(json_answer({"jobs": jobs, "next": "again"}), 50)

    status, said = caller.run("jobs", "--all")

    assert (status, len(gateway.requests)) == (3, 1 + len(jobs)), said
    assert "Traceback" not in said


@pytest.mark.parametrize("command", ["capabilities", "result"])
def test_a_compressed_answer_is_not_expanded(caller: Caller, gateway: HostileGateway, command: str) -> None:
    bomb = gzip.compress(gzip.compress(bytes(MAX_READ_BYTES)))
    headers = {"Content-Encoding": "gzip, gzip", "Content-Type": "image/jpeg"}
    gateway.answers[command] = HostileAnswer(headers=headers, body=bomb)

    status, said = caller.run(*COMMANDS[command])

    assert (status, caller.written_files()) == (3, [])
    assert "compressed" in said


EVIL = "\x1b]0;stolen\x07\x1b[31m\x9b31m\u202e[/] [bold] :smile: "
FAILURE = {"code": EVIL, "message": EVIL, "errors": [{"pointer": EVIL, "message": EVIL + "!"}]}
EVIL_ANSWERS = {
    "upload": json_answer({"code": EVIL, "detail": EVIL, "errors": FAILURE["errors"]}, 400),
    "capabilities": json_answer(CAPABILITIES | {"formats": [EVIL], "limits": {EVIL: 1}, "refusals": {EVIL: EVIL}}),
    "readyz": json_answer({"status": EVIL, "checks": {EVIL: {"ok": False, "error": EVIL}}}),
    "task-status": json_answer(
        JOB
        | {
            "status": "failed",
            "failure": FAILURE,
            "original": {"name": EVIL},
            "stages": {"small": {"state": EVIL, "worker": EVIL, "error": EVIL}},
            "renditions": {"small": RENDITION | {"sha256": EVIL, "filename": EVIL}},
        }
    ),
    "jobs": json_answer({"jobs": [JOB | {"status": EVIL, "name": EVIL, "failure": FAILURE}]}),
    "result": json_answer({"code": EVIL, "detail": EVIL, "request_id": EVIL}, 500),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_no_text_of_a_gateway_controls_the_terminal(caller: Caller, gateway: HostileGateway, command: str) -> None:
    gateway.answers |= EVIL_ANSWERS
    if command == "upload":  # its capabilities are only an upload limit
        gateway.answers["capabilities"] = json_answer(CAPABILITIES)

    _, said = caller.run(*COMMANDS[command])

    assert [character for character in said if not character.isprintable() and character != "\n"] == []
    assert "Traceback" not in said
    assert "[/] [bold] :smile:" in said.replace("\n", "")


def test_a_stage_that_appears_later_is_shown(caller: Caller, gateway: HostileGateway) -> None:
    active = JOB | {"status": "processing", "stages": {"small": {"state": "running"}}}
    gateway.answers["task-status"] = map(json_answer, (active, JOB | {"stages": {"late": {"state": "done"}}}))

    status, said = caller.run("status", TASK_ID, "--watch")

    assert status == 0, said
    assert "late" in said


def test_a_warning_is_printed_once_for_all_photos(caller: Caller, gateway: HostileGateway) -> None:
    (caller.folder / "hill.jpg").write_bytes(b"another photo")
    warning = {"pointer": "/x", "rule": "unknown", "message": "The field 'x' is unknown, and ignored.\x1b[2J"}
    gateway.answers["upload"] = json_answer(ACCEPTED | {"warnings": [warning]}, 202)

    status, said = caller.run("upload", "beach.jpg", "hill.jpg")

    assert status == 0
    assert said.count("Warning: The field 'x' is unknown, and ignored.") == 1
    assert "\x1b" not in said
