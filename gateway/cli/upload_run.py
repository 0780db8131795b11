"""Sending an order of photos: find them, go through them, report."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from gateway.cli.bars import Bars
from gateway.cli.batch import Batch
from gateway.cli.exit_codes import ExitCode
from gateway.cli.finding import STDIN, ensure_there, find
from gateway.cli.humanize import counted
from gateway.cli.journal import Busy
from gateway.cli.photos import Ask, Photo, PhotoSet
from gateway.cli.plan import UploadOptions
from gateway.cli.report import Outcome, exit_code_of, summary
from gateway.cli.session import Session, Unusable
from gateway.client.models import Capabilities

NAME_COLUMNS = 40


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a command line that sends photos says."""

    ask: str
    fields: Mapping[str, Any]
    files: tuple[Path, ...]
    source: str | None = None
    name: str | None
    wait: bool
    out: Path | None
    concurrency: int
    recursive: bool
    retry_failed: bool


def send(session: Session, order: Order) -> ExitCode:
    """Send the order's photos, and return how all went."""
    _check(order)
    with session.client() as darkroom:
        found = darkroom.capabilities()
    with ExitStack() as resources:
        try:
            photos = _photos(session, order, found, resources)
        except Busy as error:
            raise Unusable(str(error)) from error
        if not photos:
            session.note("There is no photo there.")
            return ExitCode.OK
        return _go_through(session, order, photos, found.limits.get("upload_bytes"))


def _check(order: Order) -> None:
    if bool(order.files) == bool(order.source):
        raise Unusable("Name photos, or an earlier job with --source.")
    if order.name and STDIN not in order.files:
        raise Unusable("--name is for stdin: files have their names.")
    ensure_there(order.files)


def _photos(session: Session, order: Order, capabilities: Capabilities, resources: ExitStack) -> list[Photo]:
    photo_set = PhotoSet(
        resources, order.out.absolute() if order.out else None, warn=lambda text: session.note(text, "yellow")
    )
    if order.source:
        return [photo_set.of_job(order.source)]
    named = [path for path in order.files if path != STDIN]
    photos = photo_set.of_files(find(named, capabilities.accepts, recursive=order.recursive, out=order.out))
    if STDIN in order.files:
        limit = capabilities.limits.get("upload_bytes")
        content = sys.stdin.buffer.read(-1 if limit is None else limit + 1)  # more would be refused anyway
        photos.append(photo_set.of_bytes(content, order.name or "stdin"))
    return photos


def _go_through(session: Session, order: Order, photos: list[Photo], upload_bytes: int | None) -> ExitCode:
    options = UploadOptions(wait=order.wait, save=order.out is not None, retry_failed=order.retry_failed)
    ask = Ask(name=order.ask, fields=order.fields, url=session.url)
    began, width = monotonic(), min(NAME_COLUMNS, max(len(photo.shown) for photo in photos))
    with Bars(session.notes, len(photos), following=options.follow) as bars:

        def tell(outcome: Outcome) -> None:
            bars.count()
            session.tell(outcome.document(), outcome.line(width), above_bars=True)

        async def run() -> None:
            ticker = asyncio.create_task(bars.tick())
            async with session.async_client(bars.notice) as client:
                await batch.run(client, concurrency=order.concurrency, upload_bytes=upload_bytes)
            ticker.cancel()

        batch = Batch(photos, ask, options, bars=bars.bar, tell=tell)
        try:
            asyncio.run(run())
        finally:
            is_told = len(photos) == len(batch.outcomes) == 1 and batch.outcomes[0].line()
            if not is_told and not session.json:
                took = (monotonic() - began) * 1000
                session.notes.print(summary(batch.outcomes, photos=len(photos), ms=took), soft_wrap=True)
            if not batch.complete:
                session.note(_advice(photos, left=len(photos) - len(batch.outcomes)), "yellow")
    return exit_code_of(batch.outcomes, complete=batch.complete)


def _advice(photos: Sequence[Photo], *, left: int) -> str:
    is_noted = all(photo.journal.folder for photo in photos)
    return f"{counted(left, 'photo')} left. " + ("The same command again goes on from here." if is_noted else "")
