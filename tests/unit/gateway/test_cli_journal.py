"""The journal of uploads: what it keeps, what it survives, and what it leads a second run to do."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from gateway.cli.journal import JOURNAL_NAME, Journal, JournalEntry, JournalLocked, State
from gateway.cli.plan import Action, UploadOptions, first_action

ENTRY = JournalEntry(file="beach.jpg", size=5, mtime_ns=7, ask="previews", state="sending", key="a-key")
SENT = UploadOptions(wait=False, save=False, retry_failed=False)
AWAITED = replace(SENT, wait=True)
SAVED = replace(SENT, save=True)


def known(folder: Path) -> JournalEntry | None:
    with Journal(folder) as journal:
        return journal.find("beach.jpg", "previews", size=5, mtime_ns=7)


def test_the_last_line_about_a_photo_counts_in_the_next_run(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.add(ENTRY)
        journal.add(replace(ENTRY, state="accepted", task_id="an-id"))

    found = known(tmp_path)

    assert found == replace(ENTRY, state="accepted", task_id="an-id")


def test_every_line_is_an_object_of_its_own(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.add(replace(ENTRY, file="two\nlines.jpg"))
        journal.add(replace(ENTRY, file="caf\udce9.jpg"))

    files = [json.loads(line)["file"] for line in (tmp_path / JOURNAL_NAME).read_text().splitlines()]

    assert files == ["two\nlines.jpg", "caf\udce9.jpg"]


@pytest.mark.parametrize("change", [{"size": 6}, {"mtime_ns": 8}], ids=str)
def test_a_photo_that_has_changed_is_not_known(tmp_path: Path, change: dict[str, int]) -> None:
    with Journal(tmp_path) as journal:
        journal.add(ENTRY)

        assert journal.find("beach.jpg", "previews", **{"size": 5, "mtime_ns": 7, **change}) is None


def test_a_photo_of_which_something_else_is_asked_is_not_known(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.add(ENTRY)

        assert journal.find("beach.jpg", "crop", size=5, mtime_ns=7) is None


@pytest.mark.parametrize("torn", [b'{"file": "half', b"\xff\xfe", b"[]", b"{}", b'{"file": 1}', b"null"])
def test_a_torn_line_costs_no_other(tmp_path: Path, torn: bytes) -> None:
    with Journal(tmp_path) as journal:
        journal.add(ENTRY)
    with (tmp_path / JOURNAL_NAME).open("ab") as file:
        file.write(torn)

    with Journal(tmp_path) as journal:
        journal.add(replace(ENTRY, state="accepted"))

    assert known(tmp_path) == replace(ENTRY, state="accepted")


def test_a_line_of_a_newer_version_is_read_as_far_as_it_is_known(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.add(ENTRY)
    line = json.loads((tmp_path / JOURNAL_NAME).read_text())
    (tmp_path / JOURNAL_NAME).write_text(json.dumps(line | {"mood": "fine"}) + "\n")

    assert known(tmp_path) == ENTRY


def test_two_at_once_do_not_share_a_journal(tmp_path: Path) -> None:
    with Journal(tmp_path), pytest.raises(JournalLocked, match=JOURNAL_NAME):
        Journal(tmp_path)


def test_nothing_is_kept_without_a_folder() -> None:
    with Journal(None) as journal:
        journal.add(ENTRY)

    with Journal(None) as journal:
        assert journal.find("beach.jpg", "previews", size=5, mtime_ns=7) is None


def test_what_was_saved_counts_while_it_is_there(tmp_path: Path) -> None:
    (tmp_path / "beach-small.jpg").touch()
    entry = replace(ENTRY, state="done", saved={"small": "beach-small.jpg"})
    with Journal(tmp_path) as journal:
        journal.add(entry)
        was_saved = journal.is_saved(entry)
        (tmp_path / "beach-small.jpg").unlink()

        assert was_saved
        assert not journal.is_saved(entry)
        assert not journal.is_saved(replace(entry, saved={}))


def test_what_was_overwritten_for_another_ask_no_longer_counts(tmp_path: Path) -> None:
    (tmp_path / "beach-crop.jpg").touch()
    square = replace(ENTRY, ask="square", state="done", saved={"output": "beach-crop.jpg"})
    wide = replace(square, ask="wide")
    with Journal(tmp_path) as journal:
        journal.add(square)
        journal.add(wide)

        assert not journal.is_saved(square)
        assert journal.is_saved(wide)


def test_a_file_is_foreign_unless_it_was_made_for_the_photo_and_the_ask(tmp_path: Path) -> None:
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
        ("sending", SENT, Action.SEND),
        ("accepted", SENT, Action.SKIP),
        ("accepted", AWAITED, Action.FOLLOW),
        ("accepted", SAVED, Action.FOLLOW),
        ("done", AWAITED, Action.SKIP),
        ("done", SAVED, Action.FOLLOW),
        ("failed", SAVED, Action.SKIP),
        ("refused", SAVED, Action.SKIP),
        ("failed", replace(SAVED, retry_failed=True), Action.SEND),
        ("refused", replace(SENT, retry_failed=True), Action.SEND),
    ],
)
def test_a_run_goes_on_where_the_one_before_ended(state: State, options: UploadOptions, action: Action) -> None:
    assert first_action(replace(ENTRY, state=state), options, is_saved=False) is action


def test_a_photo_that_nothing_is_known_of_is_sent() -> None:
    assert first_action(None, SENT, is_saved=False) is Action.SEND


def test_what_is_done_and_saved_is_skipped() -> None:
    assert first_action(replace(ENTRY, state="done"), SAVED, is_saved=True) is Action.SKIP


def test_a_dead_job_is_revived_and_not_sent_again() -> None:
    dead = replace(ENTRY, state="failed", status="dead")

    assert first_action(dead, replace(SAVED, retry_failed=True), is_saved=False) is Action.RETRY
    assert first_action(dead, SAVED, is_saved=False) is Action.SKIP
