"""A folder and a bucket keep archives: complete ones by name, and nothing of those that were not finished."""

from __future__ import annotations

import os
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest

from deploy.backup.errors import BackupError
from deploy.backup.targets import PART_BYTES, FolderTarget, Stored, Target, archive_name, find, open_target
from storage.blobs import Blobs
from tests.support.object_store import ObjectStore
from tests.support.programs import run_program

FIRST, SECOND = datetime(2026, 5, 1, 3, tzinfo=UTC), datetime(2026, 5, 2, 3, tzinfo=UTC)
WRITE_FOREVER = """
import sys
from pathlib import Path
from deploy.backup.targets import FolderTarget
with FolderTarget(Path(sys.argv[1])).write("darkroom-20260501T030000Z.tar") as stream:
    while True:
        stream.write(bytes(65536))
"""


@pytest.fixture(params=["folder", "bucket"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "folder":
        return (tmp_path / "backups").as_uri()
    bucket: str = request.getfixturevalue("bucket_url")
    return bucket


@pytest.fixture
def target(url: str) -> Target:
    return open_target(url)


def write(target: Target, name: str, content: bytes) -> None:
    with target.write(name) as stream:
        stream.write(content)


def read(target: Target, name: str) -> bytes:
    with target.read(name) as stream:
        return b"".join(iter(lambda: stream.read(1_000_000), b""))


def test_an_archive_is_written_listed_read_and_removed(target: Target) -> None:
    first, second = archive_name(FIRST), archive_name(SECOND)
    large = os.urandom(PART_BYTES + 1)
    write(target, second, b"second")
    write(target, first, large)

    listed = target.list()
    content = read(target, first)
    target.remove(first)

    assert listed == [Stored(first, FIRST, len(large)), Stored(second, SECOND, 6)]
    assert content == large
    assert target.list() == [Stored(second, SECOND, 6)]


def test_there_is_nothing_of_an_archive_that_was_not_finished(target: Target, url: str, s3_server: ObjectStore) -> None:
    def write_half() -> None:
        with target.write(archive_name(FIRST)) as stream:
            stream.write(bytes(PART_BYTES + 1))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()

    parts = urlsplit(url)
    assert target.list() == []
    if parts.scheme == "file":
        assert list(Path(url2pathname(parts.path)).iterdir()) == []
    else:
        assert s3_server.list_multipart_uploads(parts.netloc) == []


def test_the_newest_is_found_and_other_files_are_not(target: Target, url: str) -> None:
    for time_ in (SECOND, FIRST):
        write(target, archive_name(time_), b"x")
    others = Blobs.open(url)
    for key in ("darkroom-tomorrow.tar", "darkroom-20260503T030000Z.tar.gz", "folder/darkroom-20260503T030000Z.tar"):
        others.put(key, b"x")

    assert find(target, "latest").name == archive_name(SECOND)
    assert find(target, archive_name(FIRST)).time == FIRST
    with pytest.raises(BackupError, match=r"no backup '\.\./etc'"):
        find(target, "../etc")


def test_one_of_the_future_is_the_newest_only_if_there_is_no_other(target: Target) -> None:
    future = archive_name(datetime(2999, 1, 1, tzinfo=UTC))
    write(target, future, b"made while a clock was wrong")

    assert find(target, "latest").name == future
    write(target, archive_name(FIRST), b"x")
    assert find(target, "latest").name == archive_name(FIRST)


def test_a_link_to_an_archive_that_is_gone_is_no_archive(tmp_path: Path) -> None:
    write(FolderTarget(tmp_path), archive_name(FIRST), b"x")
    for name in ("latest", archive_name(SECOND)):
        (tmp_path / name).symlink_to("gone")

    assert [each.name for each in FolderTarget(tmp_path).list()] == [archive_name(FIRST)]


def test_a_target_without_archives_has_no_newest(target: Target) -> None:
    with pytest.raises(BackupError, match="holds no backup"):
        find(target, "latest")


def test_what_a_killed_process_left_is_no_archive_and_is_removed_once_it_is_old(tmp_path: Path) -> None:
    target = FolderTarget(tmp_path)
    with run_program(sys.executable, "-c", WRITE_FOREVER, str(tmp_path)) as process:
        deadline = time.monotonic() + 60
        while not any(path.stat().st_size for path in tmp_path.iterdir()):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    (left,) = tmp_path.iterdir()

    listed = target.list()
    write(target, archive_name(SECOND), b"x")
    young_is_left = left.exists()
    os.utime(left, (1, 1))
    write(target, archive_name(FIRST), b"x")

    assert listed == []
    assert young_is_left
    assert sorted(path.name for path in tmp_path.iterdir()) == [archive_name(FIRST), archive_name(SECOND)]
