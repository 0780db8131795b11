"""One run of an upload command: find the photos, upload them, print the report."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from ..client.models import Capabilities
from .batch import Batch
from .command import CommandError
from .exit_codes import ExitCode
from .humanize import pluralize
from .journal import JournalLocked
from .photo_search import STDIN, ensure_files_exist, file_extensions, find_photos
from .photos import Photo, PhotoSet, UploadRequest
from .plan import UploadOptions
from .progress_bars import ProgressBars
from .report import PhotoOutcome, exit_code_of_batch, format_summary
from .session import Session

NAME_COLUMNS = 40


@dataclass(frozen=True, kw_only=True)
class UploadArguments:
    """The arguments of a command that uploads photos."""

    operation: str
    fields: Mapping[str, Any]
    files: tuple[Path, ...]
    addresses: tuple[str, ...] = ()
    source: str | None = None
    name: str | None
    wait: bool
    out: Path | None
    concurrency: int
    recursive: bool
    retry_failed: bool


def upload_photos(session: Session, arguments: UploadArguments) -> ExitCode:
    """Find the photos, upload them, print the report, and return the exit code."""
    _check_arguments(arguments)
    with session.client() as darkroom:
        capabilities = darkroom.capabilities()
    with ExitStack() as resources:
        try:
            photos = _collect_photos(session, arguments, capabilities, resources)
        except JournalLocked as error:
            raise CommandError(str(error)) from error
        if not photos:
            session.print_note(_describe_empty_search(arguments, capabilities))
            return ExitCode.OK
        return _run_batch(session, arguments, photos, capabilities.limits.get("upload_bytes"))


def _check_arguments(arguments: UploadArguments) -> None:
    if bool(arguments.files or arguments.addresses) == bool(arguments.source):
        raise CommandError("Specify either photos, or an earlier job with --source.")
    if arguments.name and STDIN not in arguments.files:
        raise CommandError("--name is only for stdin: files keep their own names.")
    ensure_files_exist(arguments.files)


def _collect_photos(
    session: Session, arguments: UploadArguments, capabilities: Capabilities, resources: ExitStack
) -> list[Photo]:
    photo_set = PhotoSet(
        resources,
        arguments.out.absolute() if arguments.out else None,
        warn=lambda text: session.print_note(text, "yellow"),
    )
    if arguments.source:
        return [photo_set.photo_from_job(arguments.source)]
    paths = [path for path in arguments.files if path != STDIN]
    photos = photo_set.photos_from_files(
        find_photos(paths, capabilities.accepts, recursive=arguments.recursive, out=arguments.out)
    )
    if STDIN in arguments.files:
        limit = capabilities.limits.get("upload_bytes")
        content = sys.stdin.buffer.read(-1 if limit is None else limit + 1)  # one byte too many is enough to refuse it
        photos.append(photo_set.photo_from_bytes(content, arguments.name or "stdin"))
    return photos + [photo_set.photo_from_address(address) for address in dict.fromkeys(arguments.addresses)]


def _run_batch(session: Session, arguments: UploadArguments, photos: list[Photo], upload_bytes: int | None) -> ExitCode:
    options = UploadOptions(wait=arguments.wait, save=arguments.out is not None, retry_failed=arguments.retry_failed)
    request = UploadRequest(name=arguments.operation, fields=arguments.fields, url=session.url)
    start, width = monotonic(), min(NAME_COLUMNS, max(len(photo.display_name) for photo in photos))
    warnings: set[str] = set()
    with ProgressBars(session.notes, len(photos), follows_jobs=options.follows_jobs) as bars:

        def print_outcome(outcome: PhotoOutcome) -> None:
            bars.count()
            for warning in sorted({*outcome.warnings} - warnings):  # the same for every photo: once is enough
                session.print_note(f"Warning: {warning}", "yellow")
            warnings.update(outcome.warnings)
            session.print_result(outcome.to_document(), outcome.format_line(width), above_bars=True)

        async def run() -> None:
            refresh = asyncio.create_task(bars.refresh_forever())
            async with session.async_client(bars.on_retry) as client:
                await batch.run(client, concurrency=arguments.concurrency, upload_bytes=upload_bytes)
            refresh.cancel()

        batch = Batch(photos, request, options, bars=bars.bar, on_outcome=print_outcome)
        try:
            asyncio.run(run())
        finally:
            is_reported = len(photos) == len(batch.outcomes) == 1 and batch.outcomes[0].format_line()
            if not is_reported and not session.json:
                elapsed_ms = (monotonic() - start) * 1000
                session.notes.print(format_summary(batch.outcomes, photos=len(photos), ms=elapsed_ms), soft_wrap=True)
            if not batch.is_complete:
                remaining = len(photos) - len(batch.outcomes)
                session.print_note(_describe_remaining(photos, remaining=remaining), "yellow")
    return exit_code_of_batch(batch.outcomes, is_complete=batch.is_complete)


def _describe_empty_search(arguments: UploadArguments, capabilities: Capabilities) -> str:
    folders = ", ".join(map(str, arguments.files))
    extensions = ", ".join(sorted(file_extensions(capabilities.accepts)))
    return f"No photos found in {folders}. These file types count as photos: {extensions}."


def _describe_remaining(photos: Sequence[Photo], *, remaining: int) -> str:
    has_journal = all(photo.journal.folder for photo in photos)
    return f"{pluralize(remaining, 'photo')} remaining. " + (
        "Run the same command again to continue." if has_journal else ""
    )
