"""What an operator types: a backup to the target, what there is, and the newest one restored; or all through pipes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from deploy.admin.backup import main
from storage.blobs import Blobs

SAID = "0 jobs, 0 idempotency keys, 0 token uses, 0 webhooks, 1 blobs"


def use_place(monkeypatch: pytest.MonkeyPatch, mongo_url: str, blob_folder: Path) -> None:
    url = urlsplit(mongo_url)._replace(path=f"/backup_{uuid4().hex}").geturl()
    monkeypatch.setenv("DARKROOM_MONGO_URL", url)
    monkeypatch.setenv("DARKROOM_BLOB_URL", blob_folder.as_uri())


@pytest.fixture(autouse=True)
def source(mongo_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_HOME", str(tmp_path / "home"))
    use_place(monkeypatch, mongo_url, tmp_path / "blobs")
    Blobs.open((tmp_path / "blobs").as_uri()).put("job/original", b"x" * 100_000)


@pytest.mark.parametrize("kind", ["folder", "bucket"])
def test_a_backup_in_the_target_is_listed_verified_and_restored_as_the_latest(
    kind: str,
    mongo_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    target = (tmp_path / "backups").as_uri() if kind == "folder" else str(request.getfixturevalue("bucket_url"))
    monkeypatch.setenv("DARKROOM_BACKUP__TARGET", target)

    made = main(["run"]), capsys.readouterr().out
    listed = main(["list"]), capsys.readouterr().out
    verified = main(["verify", "latest"]), capsys.readouterr().out
    monkeypatch.delenv("DARKROOM_BACKUP__TARGET")
    use_place(monkeypatch, mongo_url, tmp_path / "elsewhere")
    name = listed[1].split()[0]
    restored = main(["restore", "--from", target, name]), capsys.readouterr().out
    again = main(["restore", "--from", target, "latest"]), capsys.readouterr().err

    assert made == (0, f"{name}: {SAID}\n")
    assert re.fullmatch(r"darkroom-\d{8}T\d{6}Z\.tar +0\.1 MB\n", listed[1])
    assert verified == restored == (0, f"{SAID}\n")
    assert (tmp_path / "elsewhere" / "job" / "original").read_bytes() == b"x" * 100_000
    assert again == (1, f"{name}\nbackup: The blob store is not empty: restore into an empty one.\n")


def test_a_backup_goes_through_pipes(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "deploy.admin.backup"]
    archive = tmp_path / "darkroom.tar"
    with archive.open("wb") as stream:
        saved = subprocess.run([*command, "save"], stdout=stream, stderr=subprocess.PIPE, check=True, timeout=60)
    with archive.open("rb") as stream:
        verified = subprocess.run([*command, "verify"], stdin=stream, capture_output=True, check=True, timeout=60)

    assert saved.stderr.decode() == verified.stdout.decode() == f"{SAID}\n"


@pytest.mark.parametrize("action", ["verify", "restore"])
def test_of_a_file_that_is_not_there_it_is_said_how_a_container_gets_it(
    action: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main([action, "monday.tar"])

    assert status == 1
    assert "A container reads a file from stdin: restore < monday.tar" in capsys.readouterr().err


def test_a_file_that_exists_is_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "monday.tar").write_bytes(b"precious")

    status = main(["save", str(tmp_path / "monday.tar")])

    assert status == 1
    assert capsys.readouterr().err.endswith("monday.tar exists already: name a new file.\n")
    assert (tmp_path / "monday.tar").read_bytes() == b"precious"


@pytest.mark.parametrize("arguments", [["run"], ["list"], ["restore", "latest"]])
def test_without_a_target_it_is_said_how_to_name_one(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    status = main(arguments)

    assert status == 1
    assert "DARKROOM_BACKUP__TARGET names no place" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "value"),
    [("SCHEDULE", "at three"), ("SCHEDULE", "0 0 3 * * *"), ("TIME_ZONE", "Europe/Bärlin"), ("TARGET", "/backups")],
)
def test_a_wrong_setting_is_refused_in_one_line(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(f"DARKROOM_BACKUP__{name}", value)

    status = main(["list"])

    assert status == 1
    assert re.fullmatch(rf"backup: DARKROOM_BACKUP__{name}: should .*\n", capsys.readouterr().err)
