"""One run of `darkroom watch`: check the folders, wait for the gateway, watch, print each outcome."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from ..client.models import Capabilities
from ..client.problem import Problem
from .command import CommandError
from .errors import exit_code_of_problem
from .exit_codes import ExitCode
from .folder_watch import FolderWatch, WatchedFolder
from .humanize import pluralize
from .journal import JournalLocked
from .photo_search import file_extensions
from .photos import PhotoSet, UploadRequest
from .plan import UploadOptions
from .progress_bars import ProgressBars
from .report import PhotoOutcome, Result
from .session import Session

GATEWAY_SECONDS = 5.0
"""The pause before a gateway that does not answer at the start is tried again."""


@dataclass(frozen=True, kw_only=True)
class WatchArguments:
    """The arguments of the command."""

    folder: Path
    fields: Mapping[str, Any]
    options: UploadOptions
    out: Path | None
    concurrency: int
    recursive: bool
    settle_seconds: float
    interval_seconds: float


def watch_photos(session: Session, arguments: WatchArguments) -> ExitCode:
    """Upload each photo of the folder until the command is interrupted. Raises `CommandError`, `Problem`."""
    folder, out = arguments.folder.absolute(), arguments.out.absolute() if arguments.out else None
    if not folder.is_dir():
        raise CommandError(f"No such folder: {arguments.folder}")
    if out is not None and folder.resolve().is_relative_to(out.resolve()):
        raise CommandError("--out must be another folder, and not contain the watched one: results are photos, too.")
    capabilities = _wait_for_gateway(session)
    with ExitStack() as resources:
        try:
            photo_set = PhotoSet(resources, out, warn=lambda text: session.print_note(text, "yellow"))
            photo_set.open_journal(out or folder)
        except JournalLocked as error:
            raise CommandError(str(error)) from error
        _watch(session, arguments, photo_set, _describe(arguments, folder, out, capabilities), capabilities)
    return ExitCode.OK


def _wait_for_gateway(session: Session) -> Capabilities:
    """Return what the gateway accepts, once it answers: a computer may start this command before the gateway."""
    while True:
        try:
            with session.client() as darkroom:
                return darkroom.capabilities()
        except Problem as problem:
            if exit_code_of_problem(problem) is not ExitCode.UNAVAILABLE:
                raise
            session.print_error(problem.code, str(problem), problem)
        except httpx.TransportError as error:
            session.print_error("unreachable", f"No answer from the gateway at {session.url}: {error}. Waiting for it.")
        time.sleep(GATEWAY_SECONDS)


def _describe(arguments: WatchArguments, folder: Path, out: Path | None, capabilities: Capabilities) -> WatchedFolder:
    return WatchedFolder(
        folder=folder,
        extensions=frozenset(file_extensions(capabilities.accepts)),
        recursive=arguments.recursive,
        skip=out,
        interval_seconds=arguments.interval_seconds,
        settle_seconds=arguments.settle_seconds,
    )


def _watch(
    session: Session,
    arguments: WatchArguments,
    photo_set: PhotoSet,
    watched: WatchedFolder,
    capabilities: Capabilities,
) -> None:
    warnings: set[str] = set()

    with ProgressBars(session.notes, 0, follows_jobs=arguments.options.follows_jobs) as bars:

        def print_outcome(outcome: PhotoOutcome) -> None:
            for warning in sorted({*outcome.warnings} - warnings):  # the same for every photo: once is enough
                session.print_note(f"Warning: {warning}", "yellow")
            warnings.update(outcome.warnings)
            if outcome.result not in {Result.UNAVAILABLE, Result.UNUSABLE}:
                bars.expect(1)
                bars.count()
            line = outcome.format_line()
            if line is not None:  # else it is done, and an earlier run has said so
                session.print_result(outcome.to_document(), line, above_bars=True)

        watch = FolderWatch(
            watched=watched,
            photos=photo_set,
            request=UploadRequest(name="upload", fields=arguments.fields, url=session.url),
            options=arguments.options,
            upload_bytes=capabilities.limits.get("upload_bytes"),
            bars=bars.bar,
            on_outcome=print_outcome,
            on_error=lambda text: session.print_note(text, "yellow"),
        )

        async def run() -> None:
            refresh = asyncio.create_task(bars.refresh_forever())
            async with session.async_client(bars.on_retry) as client:
                await watch.run(client, concurrency=arguments.concurrency)
            refresh.cancel()

        session.print_note(f"Watching {watched.folder}. Interrupt the command to end it.")
        try:
            asyncio.run(run())
        finally:
            counts = ", ".join(f"{count:,} {result}" for result, count in watch.counts.items())
            session.print_note(f"{pluralize(watch.counts.total(), 'photo')}{': ' if counts else ''}{counts}.")
