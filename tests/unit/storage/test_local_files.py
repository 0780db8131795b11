"""Files of a local folder: whole or not there, whatever happens to the write."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.local_files import write_file


@pytest.fixture
def full_disk() -> Iterator[None]:
    """A system that lets no file become larger than 5,000 bytes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("durable", [True, False])
def test_a_file_has_all_parts_and_its_folders_are_made(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "one" / "two" / "file"

    write_file(str(path), [b"first ", b"", b"second"], durable=durable)

    assert path.read_bytes() == b"first second"
    assert list(path.parent.iterdir()) == [path]


def test_a_file_is_replaced_and_who_reads_it_has_the_earlier_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_file(str(path), [b"earlier"], durable=True)

    with path.open("rb") as earlier:
        write_file(str(path), [b"later"], durable=True)

        assert (earlier.read(), path.read_bytes()) == (b"earlier", b"later")


def test_what_a_killed_write_has_left_is_no_obstacle_and_stays(tmp_path: Path) -> None:
    left = tmp_path / "file#1"
    left.write_bytes(b"left")

    write_file(str(tmp_path / "file"), [b"content"], durable=True)

    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"file": b"content", "file#1": b"left"}


@pytest.mark.usefixtures("full_disk")
def test_a_write_that_a_full_disk_ends_leaves_the_earlier_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_file(str(path), [b"earlier"], durable=True)

    with pytest.raises(OSError, match="File too large"):
        write_file(str(path), [bytes(4000), bytes(4000)], durable=True)

    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"file": b"earlier"}


def test_a_path_through_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")

    with pytest.raises(OSError, match="file"):
        write_file(str(tmp_path / "file" / "below"), [b""], durable=True)

    assert list(tmp_path.iterdir()) == [tmp_path / "file"]
