"""Watch a folder: upload each photo that is complete, once for each content, until the command is interrupted."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic

from ..client import AsyncClient
from ..client.receivers import digest_of
from .folder_scan import CompleteFiles, FileVersion, scan_folder
from .photo_attempt import Attempt, BarFactory, attempt_upload, refuse_too_large
from .photo_search import PhotoFile
from .photos import Photo, PhotoSet, UploadRequest
from .plan import UploadOptions
from .report import PhotoOutcome, Result

PAUSE_SECONDS, MAX_PAUSE_SECONDS = 2.0, 60.0
"""The pause of all uploads when the gateway or the output folder is unavailable; it doubles until one succeeds."""
SCAN_SHARE = 0.1
"""A scan may take this share of the time: a large folder on a slow disk is scanned less often."""
AGAIN_SECONDS = 60.0
"""When a file is tried again that could not be read, or that the gateway failed at, if it has not changed."""
FORBIDDEN_STATUSES = frozenset({401, 403})
"""Answers that concern the key, not the photo: the command ends, so that somebody sees it."""
Files = asyncio.Queue[tuple[Path, FileVersion]]


@dataclass(frozen=True, kw_only=True)
class WatchedFolder:
    """What is watched, and how."""

    folder: Path
    """Absolute."""
    extensions: frozenset[str]
    recursive: bool
    skip: Path | None
    """A folder inside it that is not watched: the one that results are saved in."""
    interval_seconds: float
    settle_seconds: float


@dataclass
class FolderWatch:
    """The uploads of one watched folder.

    `on_outcome` is called when a photo has ended, `on_error` with a sentence when the folder cannot be read.
    """

    watched: WatchedFolder
    photos: PhotoSet
    request: UploadRequest
    options: UploadOptions
    upload_bytes: int | None
    bars: BarFactory
    on_outcome: Callable[[PhotoOutcome], None]
    on_error: Callable[[str], None]
    counts: Counter[Result] = field(default_factory=Counter)
    _active: set[Path] = field(default_factory=set)
    _pause: float = PAUSE_SECONDS
    _resume_at: float = 0.0

    async def run(self, client: AsyncClient, *, concurrency: int) -> None:
        """Scan and upload until cancelled. Raises `Problem` if the gateway does not accept the key."""
        files, queue = CompleteFiles(self.watched.settle_seconds), Files(maxsize=concurrency)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._scan(files, queue))
                for _ in range(concurrency):
                    group.create_task(self._upload(client, files, queue))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _scan(self, files: CompleteFiles, queue: Files) -> None:
        """Queue the files that are complete. A folder that cannot be read, as its disk is gone, may come back."""
        watched, reported = self.watched, ""
        while True:
            start = monotonic()
            try:
                found = await asyncio.to_thread(
                    scan_folder,
                    watched.folder,
                    watched.extensions,
                    recursive=watched.recursive,
                    skip=watched.skip,
                )
            except OSError as error:
                sentence = f"{watched.folder} cannot be read: {error.strerror or error}. Waiting for it."
                if sentence != reported:
                    self.on_error(sentence)
                reported = sentence
            else:
                reported = ""
                for complete in files.take(found):
                    await queue.put(complete)
            await asyncio.sleep(max(watched.interval_seconds, (monotonic() - start) / SCAN_SHARE))

    async def _upload(self, client: AsyncClient, files: CompleteFiles, queue: Files) -> None:
        while True:
            await asyncio.sleep(max(0.0, self._resume_at - monotonic()))
            path, version = await queue.get()
            if path in self._active:  # its version before this one is still being uploaded
                files.take_again(path, seconds=self.watched.settle_seconds)
                continue
            self._active.add(path)
            try:
                attempt = await self._attempt(client, path, version)
            finally:
                self._active.discard(path)
            if attempt is not None:
                self._report(attempt, path, files)

    async def _attempt(self, client: AsyncClient, path: Path, version: FileVersion) -> Attempt | None:
        """Upload a file. None if it is no such file any more: one that was written again comes again when complete."""
        try:
            photo = await self._read_photo(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            message = f"{error.strerror or error}."
            return Attempt(outcome=PhotoOutcome(file=str(path), result=Result.UNUSABLE, message=message))
        if (photo.size, photo.mtime_ns) != (version.size, version.mtime_ns) or photo.is_result:
            return None
        if refusal := refuse_too_large(photo, self.upload_bytes):
            return Attempt(outcome=refusal)
        return await attempt_upload(client, photo, self.request, self.options, self.bars)

    def _report(self, attempt: Attempt, path: Path, files: CompleteFiles) -> None:
        """Report an outcome, and see to it that the file is tried again if that may help.

        Raises `Problem` for a key that is not accepted.
        """
        outcome, problem = attempt.outcome, attempt.problem
        if problem is not None and problem.status in FORBIDDEN_STATUSES:
            raise problem
        if attempt.is_gateway_unavailable or attempt.is_save_error:
            if self._pause == PAUSE_SECONDS:
                self.on_outcome(outcome)
            self._resume_at = monotonic() + self._pause
            self._pause = min(2 * self._pause, MAX_PAUSE_SECONDS)
            files.take_again(path, seconds=0)
            return
        self._pause = PAUSE_SECONDS
        if outcome.result in {Result.UNUSABLE, Result.UNAVAILABLE}:
            files.take_again(path, seconds=AGAIN_SECONDS)
        if not outcome.skipped:
            self.counts[outcome.result] += 1
        self.on_outcome(outcome)

    async def _read_photo(self, path: Path) -> Photo:
        """Return the photo of a file. If its bytes are those of its journal entry, the entry is for this file, too."""
        name = str(path.relative_to(self.watched.folder))
        (photo,) = self.photos.photos_from_files([PhotoFile(path=path, root=self.watched.folder, display_name=name)])
        photo = replace(photo, sha256=await asyncio.to_thread(digest_of, path))
        last = photo.find_last_entry(self.request)
        if last is not None and last.sha256 == photo.sha256 and photo.find_entry(self.request) is None:
            photo.journal.add(replace(last, size=photo.size, mtime_ns=photo.mtime_ns))
        return photo
