"""Which files of a watched folder are photos, and when they are complete."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.cli.folder_scan import CompleteFiles, FileVersion, Found, scan_folder

JPEG = frozenset({".jpg"})
CAT, DOG = "/in/cat.jpg", "/in/dog.jpg"


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Scans:
    """Scans of a folder, a second apart; files are complete after two seconds."""

    def __init__(self) -> None:
        self._clock = Clock()
        self.files = CompleteFiles(2, clock=self._clock)

    def scan(self, found: Found, *, seconds: float = 1) -> list[str]:
        self._clock.now += seconds
        return [path.name for path, _ in self.files.take(found)]


def version(size: int = 10, mtime_ns: int = 1) -> FileVersion:
    return FileVersion(size, mtime_ns)


def write(path: Path, content: bytes = b"photo") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def names(folder: Path, *, recursive: bool = True, skip: Path | None = None) -> list[str]:
    found = scan_folder(folder, JPEG, recursive=recursive, skip=skip)
    return sorted(str(Path(path).relative_to(folder)) for path in found)


def test_photos_are_found_by_their_extensions_in_subfolders_too(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.JPG", "c.txt", "deep/er/d.jpg"):
        write(tmp_path / name)

    assert names(tmp_path) == ["a.jpg", "b.JPG", "deep/er/d.jpg"]
    assert names(tmp_path, recursive=False) == ["a.jpg", "b.JPG"]


@pytest.mark.parametrize(
    "name", [".a.jpg", "a.jpg.part", "a.jpg.crdownload", "a.jpg~", "~a.jpg", ".cache/a.jpg", "results/a.jpg"]
)
def test_hidden_files_unfinished_downloads_and_results_are_no_photos(tmp_path: Path, name: str) -> None:
    write(tmp_path / name)

    assert names(tmp_path, skip=tmp_path / "results") == []


def test_an_empty_file_and_a_broken_link_are_no_photos(tmp_path: Path) -> None:
    write(tmp_path / "empty.jpg", b"")
    (tmp_path / "broken.jpg").symlink_to(tmp_path / "nowhere")
    (tmp_path / "round").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "folder.jpg").mkdir()

    assert names(tmp_path) == []


def test_a_linked_photo_is_found_with_the_version_of_its_file(tmp_path: Path) -> None:
    photo = write(tmp_path / "photo.bin")
    (tmp_path / "link.jpg").symlink_to(photo)
    os.utime(photo, ns=(5, 5))

    assert scan_folder(tmp_path, JPEG, recursive=True, skip=None) == {str(tmp_path / "link.jpg"): version(5, 5)}


def test_a_folder_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        scan_folder(tmp_path / "gone", JPEG, recursive=True, skip=None)


def test_a_file_is_complete_once_it_has_not_changed_for_a_moment() -> None:
    scans, found = Scans(), {CAT: version()}

    assert [scans.scan(found) for _ in range(5)] == [[], [], ["cat.jpg"], [], []]


@pytest.mark.parametrize("changed", [version(size=20), version(mtime_ns=2)])
def test_a_file_that_is_still_written_is_waited_for(changed: FileVersion) -> None:
    scans = Scans()
    scans.scan({CAT: version()})

    assert [scans.scan({CAT: changed}) for _ in range(3)] == [[], [], ["cat.jpg"]]


def test_a_file_that_is_written_again_is_complete_again() -> None:
    scans = Scans()
    for _ in range(3):
        scans.scan({CAT: version()})

    assert [scans.scan({CAT: version(mtime_ns=9)}) for _ in range(4)] == [[], [], ["cat.jpg"], []]


def test_a_file_that_comes_back_is_complete_again() -> None:
    scans, found = Scans(), {CAT: version()}
    for each in (found, found, found, {}):
        scans.scan(each)

    assert [scans.scan(found) for _ in range(3)] == [[], [], ["cat.jpg"]]


def test_the_oldest_of_several_files_comes_first() -> None:
    scans, found = Scans(), {CAT: version(mtime_ns=5), DOG: version(mtime_ns=3)}
    scans.scan(found)

    assert scans.scan(found, seconds=2) == ["dog.jpg", "cat.jpg"]


def test_a_file_that_could_not_be_uploaded_is_complete_again_later() -> None:
    scans, found = Scans(), {CAT: version()}
    for _ in range(3):
        scans.scan(found)

    scans.files.take_again(Path(CAT), seconds=3)
    scans.files.take_again(Path(DOG), seconds=3)

    assert [scans.scan(found) for _ in range(5)] == [[], [], ["cat.jpg"], [], []]
