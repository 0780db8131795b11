"""The `darkroom` command as a script or a person runs it: processes of its own against a running gateway."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from uuid import uuid4

import httpx
import pytest

from deploy.local.ports import free_port
from deploy.local.processes import ROOT
from deploy.local.stack import Stack
from gateway.cli.journal import JOURNAL_NAME
from tests.integration.api_helpers import post_operation, submit_photo, wait_for_end, wait_until
from tests.integration.faulty_proxy import ProxyFault, run_faulty_proxy
from tests.integration.variant_files import add_variants
from tests.support.images import decode_image, encode_image, photo
from tests.support.programs import Fork, fork, report_end, start_program

SECONDS = 90
PHOTOS = 8


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a run of the command ended."""

    status: int
    out: str
    err: str

    @property
    def documents(self) -> list[dict[str, Any]]:
        """What it said with --json: on every line a document, and nothing else."""
        return [json.loads(line) for line in self.out.splitlines()]


def environment(url: str) -> dict[str, str]:
    told = {name: value for name, value in os.environ.items() if not name.startswith("DARKROOM_")}
    return told | {"DARKROOM_URL": url, "PYTHONPATH": str(ROOT), "COLUMNS": "100"}


class Darkroom:
    """Runs the command in a folder, against an address: in forks of a process that has imported it, or on its own."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url

    def __call__(self, *arguments: object) -> Ended:
        return collected(self.fork(*arguments))

    def fork(self, *arguments: object) -> Fork:
        words, output = map(str, arguments), Path(mkdtemp(prefix="output-", dir=self.folder.parent))
        return fork("gateway.cli.app", *words, cwd=self.folder, env=environment(self.url), output=output)

    def start(self, *arguments: object) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "gateway.cli", *map(str, arguments)]
        pipe = subprocess.PIPE
        return start_program(*command, cwd=self.folder, env=environment(self.url), stdin=pipe, stdout=pipe, stderr=pipe)


def collected(run: Fork) -> Ended:
    status = run.wait(SECONDS)
    return Ended(status=status, out=run.out.read_text(), err=run.err.read_text())


@pytest.fixture
def darkroom(tmp_path: Path, stack: Stack) -> Darkroom:
    return Darkroom(tmp_path, stack.url)


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """A folder of photos with names that no other test uses, some of them in a folder within."""
    folder = tmp_path / "album"
    (folder / "trip").mkdir(parents=True)
    fill(folder, uuid4().hex[:8], range(PHOTOS))
    return folder


def fill(folder: Path, mark: str, numbers: range) -> None:
    for number in numbers:
        place = folder / "trip" if number % 3 == 0 else folder
        (place / f"{mark}-{number:02}.jpg").write_bytes(encode_image(photo(200 + number, 150), "jpeg"))


def originals(album: Path) -> list[Path]:
    return sorted(album.rglob("*.jpg"))


def jobs_of(client: httpx.Client, album: Path) -> list[str]:
    """Return the names of the jobs that were made of an album, a name for each job."""
    mark = originals(album)[0].name[:8]
    pages = client.get("/jobs", params={"limit": 100}).raise_for_status().json()
    return sorted(job["name"] for job in pages["jobs"] if (job["name"] or "").startswith(mark))


def lines(journal: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in journal.read_text().splitlines()] if journal.exists() else []


def states(journal: Path) -> list[str]:
    return [line["state"] for line in lines(journal)]


def one_of_each(album: Path) -> list[str]:
    return sorted(path.name for path in originals(album))


def test_a_folder_is_uploaded_and_saved_and_a_second_run_skips_what_is_done(
    darkroom: Darkroom, album: Path, client: httpx.Client
) -> None:
    mark = originals(album)[0].name[:8]
    fill(album, mark, range(PHOTOS, 12))
    bad = album / f"{mark}-bad.jpg"
    bad.write_bytes(encode_image(photo(800, 600), "jpeg")[:9000])
    (album / "notes.txt").write_text("no photo")
    (album / "trip" / ".hidden").write_bytes(originals(album)[1].read_bytes())

    first = darkroom("upload", "album", "--out", "previews", "--json")
    again = darkroom("upload", "album", "--out", "previews", "--json")
    anew = darkroom("upload", "album", "--out", "previews", "--json", "--retry-failed")

    outcomes = {Path(document["file"]).name: document for document in first.documents}
    assert first.status == again.status == anew.status == 1
    assert len(first.documents) == len(outcomes) == 13
    assert outcomes[bad.name]["code"] == "image_truncated"
    assert {document["outcome"] for name, document in outcomes.items() if name != bad.name} == {"done"}
    smalls = [document["saved"]["small"] for document in first.documents if document["saved"]]
    assert {decode_image(Path(path).read_bytes()).width for path in smalls} == {160}
    assert len(list((darkroom.folder / "previews" / "trip").glob("*-small.jpg"))) == 4
    assert all(document["skipped"] for document in again.documents)
    assert [document["file"] for document in anew.documents if not document["skipped"]] == [f"album/{bad.name}"]
    assert jobs_of(client, album) == sorted([*one_of_each(album), bad.name])  # the bad one twice


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_run_goes_on_and_makes_no_second_job(
    album: Path, client: httpx.Client, stack: Stack, number: int
) -> None:
    journal = album.parent / "previews" / JOURNAL_NAME
    faults: list[ProxyFault] = [*["forward"] * 5, *["lose the answer"] * 3, *["busy"] * 1000]  # type: ignore[list-item]
    with run_faulty_proxy(stack.url, "/upload", *faults) as server:
        darkroom = Darkroom(album.parent, server.url)
        run = darkroom.start("upload", "album", "-o", "previews", "-c", 3, "--patience", 60)
        wait_until(lambda: states(journal).count("done") == 5 and len(server.keys) > 8, "the run to be stuck")
        run.send_signal(number)
        _, said = run.communicate(timeout=SECONDS)
        report_end(run)
        made_unknown_to_it = len(jobs_of(client, album)) - 5
        server.faults.clear()

        again = darkroom("upload", "album", "-o", "previews", "--json")

    if number == signal.SIGINT:
        assert run.returncode == 130
        assert "3 photos remaining. Run the same command again to continue." in said.decode()
    assert 1 <= made_unknown_to_it <= 3
    assert again.status == 0
    assert sum(document["skipped"] for document in again.documents) == 5
    assert jobs_of(client, album) == one_of_each(album)
    assert len(list((album.parent / "previews").rglob("*-large.jpg"))) == PHOTOS


def test_a_gateway_that_is_restarted_in_the_middle_costs_nothing(
    darkroom: Darkroom, album: Path, client: httpx.Client, stack: Stack
) -> None:
    journal = darkroom.folder / "previews" / JOURNAL_NAME
    run = darkroom.fork("upload", "album", "-o", "previews", "--json", "-c", 1, "--patience", 60)
    wait_until(lambda: "done" in states(journal), "a photo to be done")
    stack.stop_process("gateway")
    done_before = states(journal).count("done")
    stack.start_process("gateway")
    resumed = collected(run)

    outcomes = [document["outcome"] for document in resumed.documents]
    assert done_before < PHOTOS
    assert (resumed.status, outcomes) == (0, ["done"] * PHOTOS)
    assert jobs_of(client, album) == one_of_each(album)


def test_busy_answers_and_lost_ones_make_no_second_job(album: Path, client: httpx.Client, stack: Stack) -> None:
    with run_faulty_proxy(stack.url, "/upload", "lose the answer", "busy", "lose the answer", "busy") as server:
        run = Darkroom(album.parent, server.url)("upload", "album")

    assert run.status == 0
    assert "Trying again in" in run.err
    assert len(server.keys) == PHOTOS + 4
    assert len(set(server.keys)) == PHOTOS
    assert jobs_of(client, album) == one_of_each(album)


def test_a_run_without_a_gateway_ends_and_the_next_one_has_it_all_to_do(
    album: Path, client: httpx.Client, stack: Stack
) -> None:
    busy: list[ProxyFault] = ["busy"] * 50
    with run_faulty_proxy(stack.url, "/upload", *busy) as server:
        broken_off = Darkroom(album.parent, server.url)("upload", "album", "--patience", "0.5")
        server.faults.clear()
        again = Darkroom(album.parent, server.url)("upload", "album", "--json")

    assert broken_off.status == 3
    assert "8 photos: 4 unavailable, 4 remaining" in broken_off.err
    assert again.status == 0
    assert len(again.documents) == PHOTOS
    assert jobs_of(client, album) == one_of_each(album)


def test_photos_of_one_stem_do_not_overwrite_each_other_or_what_is_there(darkroom: Darkroom) -> None:
    for name in ("a/x.jpg", "b/x.jpg", "b/x.png"):
        path = darkroom.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(encode_image(photo(20 + len(name), 20), path.suffix[1:].replace("jpg", "jpeg")))
    theirs = darkroom.folder / "out" / "a" / "x-grayscale.jpg"
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"somebody's")

    run = darkroom("grayscale", "a/x.jpg", "b/x.jpg", "b/x.png", "--out", "out", "--json")

    saved = {path.relative_to(darkroom.folder / "out") for path in (darkroom.folder / "out").rglob("*.jpg")}
    assert run.status == 0
    assert theirs.read_bytes() == b"somebody's"
    assert saved == {
        Path(name)
        for name in ("a/x-grayscale.jpg", "a/x.jpg-grayscale.jpg", "b/x-grayscale.jpg", "b/x.png-grayscale.jpg")
    }


def test_stdin_an_earlier_job_and_stdout_go_together(darkroom: Darkroom) -> None:
    with darkroom.start("upload", "-", "--name", "beach.jpg", "--wait", "--json") as sent:
        document = json.loads(sent.communicate(encode_image(photo(), "jpeg"), timeout=SECONDS)[0])
    report_end(sent)
    cropped = darkroom("crop", "--source", document["task_id"], "--aspect", "1:1", "--out", "out", "--json")
    image = darkroom.fork("result", cropped.documents[0]["task_id"], "-o", "-")
    assert image.wait(SECONDS) == 0
    (darkroom.folder / "beach-crop.jpg").write_bytes(b"somebody's")
    runs = [darkroom.fork("result", document["task_id"], "--rendition", "small") for _ in range(2)]
    named, once_more = map(collected, runs)
    beside = darkroom("result", cropped.documents[0]["task_id"], "--json")

    assert (document["file"], document["outcome"]) == ("beach.jpg", "done")
    assert decode_image(image.out.read_bytes()).size == (64, 64)
    assert named.status == once_more.status == 0
    assert decode_image((darkroom.folder / "beach-small.jpg").read_bytes()).width == 96
    assert beside.documents[0]["file"] == "beach-crop (2).jpg"
    assert sorted(path.name for path in darkroom.folder.iterdir()) == [
        "beach-crop (2).jpg",
        "beach-crop.jpg",
        "beach-small.jpg",
        "out",
    ]
    assert Path(cropped.documents[0]["saved"]["output"]).name == "beach-crop.jpg"


def test_a_format_or_a_file_of_a_rendition_is_saved(darkroom: Darkroom, stack: Stack, client: httpx.Client) -> None:
    task_id = submit_photo(client, encode_image(photo(93, 90), "jpeg"), "cat.jpg")
    wait_for_end(client, task_id)
    add_variants(stack, task_id, "small")

    runs = [
        darkroom.fork("result", task_id, "-r", "small"),
        darkroom.fork("result", task_id, "-r", "small", "--format", "webp"),
        darkroom.fork("result", task_id, "-r", "small@2x.avif"),
    ]

    assert [collected(run).status for run in runs] == [0, 0, 0]
    saved = {path.name: decode_image(path.read_bytes()) for path in darkroom.folder.glob("cat-*")}
    assert {name: (image.format, image.width) for name, image in saved.items()} == {
        "cat-small.jpg": ("JPEG", 160),
        "cat-small.webp": ("WEBP", 160),
        "cat-small@2x.avif": ("AVIF", 320),
    }


def test_a_job_is_shown_stage_by_stage_and_its_failure_is_an_exit_status(
    darkroom: Darkroom, client: httpx.Client
) -> None:
    done = submit_photo(client, encode_image(photo(), "jpeg"), "beach.jpg")
    failed = submit_photo(client, encode_image(photo(800, 600), "jpeg")[:9000])

    watched = darkroom("status", done, "--watch", "--json")
    wait_for_end(client, failed)
    runs = [darkroom.fork("status", task_id) for task_id in (done, failed)]
    shown, shown_failed = map(collected, runs)

    assert (watched.status, shown.status, shown_failed.status) == (0, 0, 1)
    assert watched.documents[-1] == client.get(f"/task-status/{done}").json()
    assert [line.split()[:3] for line in shown.out.splitlines() if line.startswith("finalize")] == [
        ["finalize", "done", "1"]
    ]
    assert "image_truncated" in shown_failed.out
    assert "\x1b" not in shown.out + shown.err


def test_every_answer_can_be_had_as_json(darkroom: Darkroom, client: httpx.Client) -> None:
    task_id = submit_photo(client, encode_image(photo(), "jpeg"))
    wait_for_end(client, task_id)

    runs = {
        name: darkroom.fork(*arguments, "--json")
        for name, arguments in {
            "jobs": ("jobs", "--kind", "previews", "--limit", 1),
            "capabilities": ("capabilities",),
            "health": ("health",),
            "retry": ("retry", task_id),
            "gone": ("status", uuid4()),
        }.items()
    }
    asked = {name: collected(run) for name, run in runs.items()}
    asked["delete"] = darkroom("delete", task_id, "--json")

    assert asked["jobs"].documents[0]["task_id"] == task_id
    assert asked["capabilities"].documents == [client.get("/capabilities").json()]
    assert asked["health"].documents[0]["status"] == "ready"
    assert json.loads(asked["retry"].err)["code"] == "not_retryable"
    assert asked["delete"].documents == [{"task_id": task_id, "deleted": True}]
    assert json.loads(asked["gone"].err)["code"] == "job_not_found"
    assert [asked[name].status for name in asked] == [0, 0, 0, 4, 4, 0]


def test_a_list_that_is_cut_says_so_to_whoever_pipes_it(darkroom: Darkroom, client: httpx.Client) -> None:
    for _ in range(21):
        post_operation(client, "grayscale", encode_image(photo(), "jpeg")).raise_for_status()

    first, every = map(collected, [darkroom.fork("jobs", "--json", *more) for more in ((), ("--all",))])

    assert "Use --all to list every job" in first.err
    assert len(first.documents) == 20
    assert len(every.documents) > 20
    assert every.err == ""


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["jobs", "--status", "odd"], 4, "invalid_request"),
        (["health", "--url", "127.0.0.1:{port}"], 3, "No answer from the gateway"),
        (["jobs", "--url", "127.0.0.1:{port}", "--patience", "0"], 3, "Is the gateway running at http://127.0.0.1:"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_cannot_be_done_has_its_exit_status_and_says_why(
    darkroom: Darkroom, arguments: list[str], status: int, says: str
) -> None:
    run = darkroom(*(argument.format(port=free_port()) for argument in arguments))

    assert run.status == status
    assert says in run.err
    assert run.out == ""


def test_the_command_imports_nothing_of_the_server() -> None:
    script = "import sys, gateway.cli.app; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)

    heavy = {"fastapi", "starlette", "celery", "kombu", "redis", "pymongo", "motor", "beanie", "obstore", "PIL"}
    ours = {"pipeline", "storage", "stages"}
    assert not (heavy | ours) & set(run.stdout.split())


@pytest.mark.skipif(Path(sys.prefix).resolve() != ROOT / ".venv", reason="./run would make an environment")
def test_it_runs_from_any_folder_of_a_checkouts_user(tmp_path: Path, stack: Stack) -> None:
    folder = tmp_path / "my photos"
    (folder / "gateway").mkdir(parents=True)
    (folder / "gateway" / "__init__.py").write_text("raise SystemExit('not this one')")
    (folder / "a photo.jpg").write_bytes(encode_image(photo(), "jpeg"))

    run = subprocess.run(
        [ROOT / "run", "cli", "upload", "a photo.jpg", "--out", "out"],
        cwd=folder,
        env=environment(stack.url),
        capture_output=True,
        text=True,
        check=False,
    )

    assert (run.returncode, run.stderr) == (0, "")
    assert (folder / "out" / "a photo-small.jpg").is_file()


def test_shells_can_complete_it(darkroom: Darkroom) -> None:
    told = environment(darkroom.url) | {
        "_DARKROOM_COMPLETE": "complete_bash",
        "COMP_WORDS": "darkroom cap",
        "COMP_CWORD": "1",
    }
    run = subprocess.run([sys.executable, "-m", "gateway.cli"], env=told, capture_output=True, text=True, check=False)

    assert run.stdout.split() == ["capabilities"]
