"""The photos of a batch: the content, the name in the journal, and the path in the output folder."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path, PurePath
from typing import Any

from ..client import calls
from ..client.call import Call
from ..client.models import Accepted
from .addresses import label_of, source_fields
from .journal import Journal, JournalEntry
from .output_names import OutputNames, output_paths
from .photo_search import PhotoFile


@dataclass(frozen=True, kw_only=True)
class UploadRequest:
    """The request that a batch makes for every photo: the name of a function in calls.py, and its form fields."""

    name: str
    fields: Mapping[str, Any]
    url: str

    @property
    def fingerprint(self) -> str:
        """Return a short hash of the request: the gateway's address, the operation and the fields."""
        text = json.dumps([self.url, self.name, self.fields], sort_keys=True)
        return sha256(text.encode()).hexdigest()[:16]

    def build_call(self, photo: Photo, key: str, progress: Callable[[int, int], None]) -> Call[Accepted]:
        """Return the call that uploads a photo with this Idempotency-Key."""
        build = getattr(calls, self.name)
        if photo.content is None:
            call: Call[Accepted] = build(idempotency_key=key, **photo.source, **self.fields)
        else:
            call = build(photo.content, name=photo.name, idempotency_key=key, progress=progress, **self.fields)
        return call


@dataclass(frozen=True, kw_only=True)
class Photo:
    """One photo: a file, the bytes of stdin, or what has no content here: an address, or the original of a job."""

    display_name: str
    name: str
    content: Path | bytes | None
    source: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The form field that says where the image is, if there is no content."""
    size: int
    mtime_ns: int = 0
    sha256: str | None = None
    """SHA-256 (hex) of the bytes, for the journal; None where nobody needs it."""
    file: str
    """The photo's name in the journal."""
    journal: Journal
    names: OutputNames
    output_path: PurePath
    """The photo's path in the output folder; its results are called after it."""

    def find_entry(self, request: UploadRequest) -> JournalEntry | None:
        """Return the photo's journal entry for this request; None if there is none."""
        return self.journal.find(self.file, request.fingerprint, size=self.size, mtime_ns=self.mtime_ns)

    @property
    def is_result(self) -> bool:
        """Whether it is no photo, but a result that an earlier run has saved beside the photos."""
        return self.journal.has_saved(self.file)

    def find_last_entry(self, request: UploadRequest) -> JournalEntry | None:
        """Return the photo's journal entry for this request, even if the photo has changed since."""
        return self.journal.find_last(self.file, request.fingerprint)

    def create_entry(self, request: UploadRequest, key: str) -> JournalEntry:
        """Return a new journal entry for this request and Idempotency-Key. It is not written yet."""
        return JournalEntry(
            file=self.file,
            size=self.size,
            mtime_ns=self.mtime_ns,
            sha256=self.sha256,
            ask=request.fingerprint,
            state="sending",
            key=key,
        )


class PhotoSet:
    """Creates the photos of a batch, each with its journal: the output folder's, or that of the photo's folder."""

    def __init__(self, resources: ExitStack, out: Path | None, warn: Callable[[str], None]) -> None:
        """Open the output folder's journal, if any. `resources` closes the journals; `warn` gets warnings as text."""
        self._resources = resources
        self._out = out
        self._warn = warn
        self._null_journal = Journal(None)
        self._journals: dict[Path, Journal] = {}
        if out:
            out.mkdir(parents=True, exist_ok=True)
            self._journals[out] = resources.enter_context(Journal(out))
        self._names = OutputNames(self._journals[out].owner_by_stem if out else {})

    def photos_from_files(self, files: Sequence[PhotoFile]) -> list[Photo]:
        """Return the photos of these files, in the same order."""
        paths = output_paths([(file.path, file.root) for file in files])
        return [self._photo_from_file(file, path) for file, path in zip(files, paths, strict=True)]

    def photo_from_bytes(self, content: bytes, name: str) -> Photo:
        """Return the photo that was read from stdin."""
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
        """Return the original image of an earlier job as a photo."""
        return self._create_photo(
            display_name=task_id, name=task_id, content=None, source={"source_task_id": task_id}, size=0,
            file=f"job:{task_id}", output_path=PurePath(task_id), journal=None,
        )  # fmt: skip

    def photo_from_address(self, address: str) -> Photo:
        """Return the image at an address as a photo. Its query is not written down."""
        label = label_of(address)
        return self._create_photo(
            display_name=label, name=label, content=None, source=source_fields(address), size=0,
            file=f"{label}:{sha256(address.encode()).hexdigest()[:16]}", output_path=PurePath("image"), journal=None,
        )  # fmt: skip

    def _photo_from_file(self, file: PhotoFile, output_path: PurePath) -> Photo:
        facts = file.path.stat()
        journal_folder = self._out or file.root
        is_inside = journal_folder is not None and file.path.is_relative_to(journal_folder)
        return self._create_photo(
            display_name=os.fsencode(file.display_name).decode("utf-8", "replace"),
            name=file.path.name,
            content=file.path,
            size=facts.st_size,
            mtime_ns=facts.st_mtime_ns,
            file=str(file.path.relative_to(journal_folder) if journal_folder and is_inside else file.path),
            output_path=output_path,
            journal=None if self._out or not file.root else self.open_journal(file.root),
        )

    def _create_photo(self, *, journal: Journal | None, file: str, output_path: PurePath, **facts: Any) -> Photo:
        """Create a photo with its journal. Stems in the output folder are claimed in the order of the photos."""
        if self._out:
            journal = self._journals[self._out]
            if facts["content"] is not None:  # other results are named once the job is known
                self._names.claim(file, output_path)
        return Photo(
            journal=journal or self._null_journal, names=self._names, file=file, output_path=output_path, **facts
        )

    def open_journal(self, folder: Path) -> Journal:
        """Return the journal of a folder; one in memory if it cannot be written. Raises `JournalLocked`."""
        if folder not in self._journals:
            try:
                self._journals[folder] = self._resources.enter_context(Journal(folder))
            except OSError as error:  # such as a read-only memory card or share
                self._warn(
                    f"Cannot write a journal in {folder} ({error.strerror}): another run uploads these photos again."
                )
                self._journals[folder] = self._null_journal
        return self._journals[folder]
