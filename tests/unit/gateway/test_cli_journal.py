"""The journal of uploads, and the first action that a later run takes for each entry."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from gateway.cli.journal import JOURNAL_NAME, Journal, JournalEntry, JournalLocked, State
from gateway.cli.plan import Action, UploadOptions, first_action

ENTRY = JournalEntry(file="beach.jpg", size=5, mtime_ns=7, ask="previews", state="sending", key="a-key")
UPLOAD_ONLY = UploadOptions(wait=False, save=False, retry_failed=False)
WAIT = replace(UPLOAD_ONLY, wait=True)
SAVE = replace(UPLOAD_ONLY, save=True)


def find_entry(folder: Path) -> JournalEntry | None:
    with Journal(folder) as journal:
        return journal.find("beach.jpg", "previews", size=5, mtime_ns=7)


def test_the_last_line_of_a_photo_counts_in_the_next_run(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.add(ENTRY)
        journal.add(replace(ENTRY, state="accepted", task_id="an-id"))

    entry = find_entry(tmp_path)

    assert entry == replace(ENTRY, state="accepted", task_id="an-id")


def test_every_line_is_one_json_object(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.add(replace(ENTRY, file="two\nlines.jpg"))
        journal.add(replace(ENTRY, file="caf\udce9.jpg"))

    files = [json.loads(line)["file"] for line in (tmp_path / JOURNAL_NAME).read_text().splitlines()]

    assert files == ["two\nlines.jpg", "caf\udce9.jpg"]


@pytest.mark.parametrize("change", [{"size": 6}, {"mtime_ns": 8}], ids=str)
def test_a_changed_photo_has_no_entry(tmp_path: Path, change: dict[str, int]) -> None:
    with Journal(tmp_path) as journal:
        journal.add(ENTRY)

        assert journal.find("beach.jpg", "previews", **{"size": 5, "mtime_ns": 7, **change}) is None


def test_another_request_for_a_photo_has_no_entry(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.add(ENTRY)

        assert journal.find("beach.jpg", "crop", size=5, mtime_ns=7) is None


@pytest.mark.parametrize("torn", [b'{"file": "half', b"\xff\xfe", b"[]", b"{}", b'{"file": 1}', b"null"])
def test_a_torn_line_does_not_lose_other_lines(tmp_path: Path, torn: bytes) -> None:
    with Journal(tmp_path) as journal:
        journal.add(ENTRY)
    with (tmp_path / JOURNAL_NAME).open("ab") as file:
        file.write(torn)

    with Journal(tmp_path) as journal:
        journal.add(replace(ENTRY, state="accepted"))

    assert find_entry(tmp_path) == replace(ENTRY, state="accepted")


def test_unknown_fields_of_a_newer_version_are_ignored(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.add(ENTRY)
    line = json.loads((tmp_path / JOURNAL_NAME).read_text())
    (tmp_path / JOURNAL_NAME).write_text(json.dumps(line | {"mood": "fine"}) + "\n")

    assert find_entry(tmp_path) == ENTRY


def test_a_journal_is_locked_by_one_process(tmp_path: Path) -> None:
    with Journal(tmp_path), pytest.raises(JournalLocked, match=JOURNAL_NAME):
        Journal(tmp_path)


def test_nothing_is_stored_without_a_folder() -> None:
    with Journal(None) as journal:
        journal.add(ENTRY)

    with Journal(None) as journal:
        assert journal.find("beach.jpg", "previews", size=5, mtime_ns=7) is None


def test_an_entry_is_saved_while_its_files_exist(tmp_path: Path) -> None:
    (tmp_path / "beach-small.jpg").touch()
    entry = replace(ENTRY, state="done", saved={"small": "beach-small.jpg"})
    with Journal(tmp_path) as journal:
        journal.add(entry)
        was_saved = journal.is_saved(entry)
        (tmp_path / "beach-small.jpg").unlink()

        assert was_saved
        assert not journal.is_saved(entry)
        assert not journal.is_saved(replace(entry, saved={}))


def test_an_entry_is_not_saved_after_another_request_overwrites_its_file(tmp_path: Path) -> None:
    (tmp_path / "beach-crop.jpg").touch()
    square = replace(ENTRY, ask="square", state="done", saved={"output": "beach-crop.jpg"})
    wide = replace(square, ask="wide")
    with Journal(tmp_path) as journal:
        journal.add(square)
        journal.add(wide)

        assert not journal.is_saved(square)
        assert journal.is_saved(wide)


def test_a_file_belongs_to_the_photo_and_request_it_was_saved_for(tmp_path: Path) -> None:
    (tmp_path / "beach-small.jpg").write_bytes(b"small")
    (tmp_path / "somebody's.jpg").touch()
    same, other = sha256(b"small").hexdigest(), sha256(b"other").hexdigest()
    with Journal(tmp_path) as journal:
        journal.add(replace(ENTRY, saved={"small": "beach-small.jpg"}))

        assert not journal.belongs_to_another("beach-small.jpg", "beach.jpg", ENTRY.ask, sha256=other)
        assert journal.belongs_to_another("beach-small.jpg", "beach.jpg", "another ask", sha256=other)
        assert not journal.belongs_to_another("beach-small.jpg", "beach.jpg", "another ask", sha256=same)
        assert journal.belongs_to_another("beach-small.jpg", "another.jpg", ENTRY.ask, sha256=same)
        assert journal.belongs_to_another("somebody's.jpg", "beach.jpg", ENTRY.ask, sha256=other)
        assert not journal.belongs_to_another("nothing.jpg", "beach.jpg", ENTRY.ask, sha256=other)


@pytest.mark.parametrize(
    ("state", "options", "action"),
    [
        ("sending", UPLOAD_ONLY, Action.SEND),
        ("accepted", UPLOAD_ONLY, Action.SKIP),
        ("accepted", WAIT, Action.FOLLOW),
        ("accepted", SAVE, Action.FOLLOW),
        ("done", WAIT, Action.SKIP),
        ("done", SAVE, Action.FOLLOW),
        ("failed", SAVE, Action.SKIP),
        ("refused", SAVE, Action.SKIP),
        ("failed", replace(SAVE, retry_failed=True), Action.SEND),
        ("refused", replace(UPLOAD_ONLY, retry_failed=True), Action.SEND),
    ],
)
def test_a_run_continues_where_the_last_one_ended(state: State, options: UploadOptions, action: Action) -> None:
    assert first_action(replace(ENTRY, state=state), options, is_saved=False) is action


def test_a_photo_without_an_entry_is_uploaded() -> None:
    assert first_action(None, UPLOAD_ONLY, is_saved=False) is Action.SEND


def test_a_photo_that_is_done_and_saved_is_skipped() -> None:
    assert first_action(replace(ENTRY, state="done"), SAVE, is_saved=True) is Action.SKIP


def test_a_dead_job_is_retried_and_not_uploaded_again() -> None:
    dead = replace(ENTRY, state="failed", status="dead")

    assert first_action(dead, replace(SAVE, retry_failed=True), is_saved=False) is Action.RETRY
    assert first_action(dead, SAVE, is_saved=False) is Action.SKIP
