"""A folder that cannot be written is detected early and named in one line."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from deploy.local.folders import FolderUnusable, check_temporary_folder, prepare_folder
from deploy.local.supervisord_control import StackError, Supervisord

MUCH = 1 << 60


def _reason(folder: Path, min_free_bytes: int = 0) -> str:
    with pytest.raises(FolderUnusable) as refused:
        prepare_folder(folder, min_free_bytes=min_free_bytes)
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("name", ["with a space", "фото", "100%", "a;b", "x" * 200])
def test_a_folder_with_any_name_is_created(tmp_path: Path, name: str) -> None:
    prepare_folder(tmp_path / name / "within")

    assert list((tmp_path / name / "within").iterdir()) == []


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert _reason(tmp_path / "file") == f"{tmp_path}/file cannot be used: {tmp_path}/file is a file, not a folder."
    assert f"{tmp_path}/file is a file" in _reason(tmp_path / "file" / "below" / "it")


def test_a_link_to_nowhere_is_named(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")

    assert f"{tmp_path}/link" in _reason(tmp_path / "link")


def test_a_name_that_is_too_long_is_shortened_in_the_message(tmp_path: Path) -> None:
    reason = _reason(tmp_path / ("x" * 3000))

    assert "too long" in reason
    assert len(reason) < 400


def test_a_folder_that_the_system_refuses_is_named() -> None:
    assert _reason(Path("/proc/darkroom")).startswith("/proc/darkroom cannot be written: ")


def test_the_message_about_a_full_disk_says_how_much_is_needed(tmp_path: Path) -> None:
    reason = _reason(tmp_path, MUCH)

    assert reason.startswith(f"The disk of {tmp_path} is full")
    assert f"{MUCH >> 20} MiB are needed" in reason


def test_the_message_about_no_temporary_folder_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: [str(tmp_path / "nowhere")])

    with pytest.raises(FolderUnusable, match="TMPDIR="):
        check_temporary_folder()


def test_a_stack_raises_the_same_message_before_it_starts_a_process(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StackError, match="is a file, not a folder"):
        Supervisord(tmp_path / "file").prepare()
