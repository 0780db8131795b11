"""The photos of a batch: what is sent, under what mark the journal knows it, where its results go."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePath
from typing import Any

from ..client import calls
from ..client.calls import Call
from ..client.models import Accepted
from .journal import Journal, JournalEntry
from .output_names import OutputNames, output_paths
from .photo_search import PhotoFile


@dataclass(frozen=True, kw_only=True)
class UploadRequest:
    """What is asked for every photo of a batch: one of the POST routes, by the name of its call, and its fields."""

    name: str
    fields: Mapping[str, Any]
    url: str

    @property
    def fingerprint(self) -> str:
        """Return a short hash of all that makes two asks the same."""
        asked = json.dumps([self.url, self.name, self.fields], sort_keys=True)
        return sha256(asked.encode()).hexdigest()[:16]

    def call(self, photo: Photo, key: str, progress: Callable[[int, int], None]) -> Call[Accepted]:
        """Return the call that sends a photo."""
        build = getattr(calls, self.name)
        if photo.content is None:
            call: Call[Accepted] = build(source_task_id=photo.source_task_id, idempotency_key=key, **self.fields)
        else:
            call = build(photo.content, name=photo.name, idempotency_key=key, progress=progress, **self.fields)
        return call


@dataclass(frozen=True, kw_only=True)
class Photo:
    """One photo: a file, the bytes of stdin, or without content the original of an earlier job."""

    display_name: str
    name: str
    content: Path | bytes | None
    source_task_id: str | None = None
    size: int
    mtime_ns: int = 0
    file: str
    """What the journal calls it."""
    journal: Journal
    names: OutputNames
    output_path: PurePath
    """Where its results would go in the output folder, as a path without the endings that they get."""

    def find_entry(self, ask: UploadRequest) -> JournalEntry | None:
        """Return what the journal knows of it."""
        return self.journal.find(self.file, ask.fingerprint, size=self.size, mtime_ns=self.mtime_ns)

    def create_entry(self, ask: UploadRequest, key: str) -> JournalEntry:
        """Return a new entry for the journal."""
        return JournalEntry(
            file=self.file, size=self.size, mtime_ns=self.mtime_ns, ask=ask.fingerprint, state="sending", key=key
        )


class PhotoSet:
    """Makes photos of what was found, with the journals that they belong to: of the output folder, or of their own."""

    def __init__(self, resources: ExitStack, out: Path | None, warn: Callable[[str], None]) -> None:
        """Journals are closed with `resources`; `warn` is told of those that cannot be written."""
        self._resources = resources
        self._out = out
        self._warn = warn
        self._null_journal = Journal(None)
        self._journals: dict[Path, Journal] = {}
        if out:
            out.mkdir(parents=True, exist_ok=True)
            self._journals[out] = resources.enter_context(Journal(out))
        self._names = OutputNames(self._journals[out].owner_by_stem if out else {})

    def photos_from_files(self, found: Sequence[PhotoFile]) -> list[Photo]:
        """Take photos from files."""
        return [
            self._photo_from_file(each, output_path)
            for each, output_path in zip(found, output_paths([(each.path, each.root) for each in found]), strict=True)
        ]

    def photo_from_bytes(self, content: bytes, name: str) -> Photo:
        """Take a photo that came by itself."""
        file = f"-:{sha256(content).hexdigest()}"
        return self._create_photo(
            display_name=name,
            name=name,
            content=content,
            size=len(content),
            file=file,
            output_path=PurePath(name),
            journal=None,
        )

    def photo_from_job(self, task_id: str) -> Photo:
        """Take the original of an earlier job."""
        return self._create_photo(
            display_name=task_id, name=task_id, content=None, source_task_id=task_id, size=0,
            file=f"job:{task_id}", output_path=PurePath(task_id), journal=None,
        )  # fmt: skip

    def _photo_from_file(self, found: PhotoFile, output_path: PurePath) -> Photo:
        facts = found.path.stat()
        home = self._out or found.root
        inside = home is not None and found.path.is_relative_to(home)
        return self._create_photo(
            display_name=os.fsencode(found.display_name).decode("utf-8", "replace"),
            name=found.path.name,
            content=found.path,
            size=facts.st_size,
            mtime_ns=facts.st_mtime_ns,
            file=str(found.path.relative_to(home) if home and inside else found.path),
            output_path=output_path,
            journal=None if self._out or not found.root else self._open_journal(found.root),
        )

    def _create_photo(self, *, journal: Journal | None, file: str, output_path: PurePath, **facts: Any) -> Photo:
        """Give a photo its journal and, in the order they come, its name in the output folder."""
        if self._out:
            journal = self._journals[self._out]
            if facts["content"] is not None:  # an earlier job's results are named once it is known what it was
                self._names.claim(file, output_path)
        return Photo(
            journal=journal or self._null_journal, names=self._names, file=file, output_path=output_path, **facts
        )

    def _open_journal(self, folder: Path) -> Journal:
        if folder not in self._journals:
            try:
                self._journals[folder] = self._resources.enter_context(Journal(folder))
            except OSError as error:  # a card, a share: what was sent cannot be noted down there
                self._warn(f"Nothing can be noted down in {folder} ({error.strerror}): another run begins anew.")
                self._journals[folder] = self._null_journal
        return self._journals[folder]
