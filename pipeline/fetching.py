"""The work of the stage fetch: get the original from a URL or a bucket into the blob store."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from itertools import chain
from typing import TYPE_CHECKING, Any

from billiard.exceptions import SoftTimeLimitExceeded

from pipeline.fetched_object import FetchedObject
from pipeline.fetched_url import FetchedUrl, StartOver
from pipeline.original_meter import OriginalMeter
from stages.errors import FetchFailed, FetchTimeout, FetchTooLarge, StageError, TemporaryError, UnsupportedFormat
from stages.formats import HEAD_BYTES
from storage.documents import Original, Source
from storage.sources import fetched_changes

if TYPE_CHECKING:
    from pipeline.stage_run import StageRun

COMPRESSED = "The server compressed the file, although it was asked not to."


def fetch_original(run: StageRun) -> Mapping[str, Any]:
    """Fetch the original and return its size. The job gets it by the update that completes the stage."""
    source = run.job.source
    if source is None:
        raise ValueError("the job has an original of its own")
    run.blobs.check_room_for_original(run.settings.blobs, run.settings.limits.upload_bytes)
    try:
        original = _fetch_url(run, source) if source.is_url else _fetch_object(run, source)
    except SoftTimeLimitExceeded as error:
        raise TemporaryError(FetchTimeout(), detail=type(error).__name__) from error
    run.job_changes = fetched_changes(run.job, original)
    return {"bytes": original.bytes}


def _fetch_url(run: StageRun, source: Source) -> Original:
    settings = run.settings
    url = FetchedUrl(
        source.address,
        run.outbound,
        settings.fetch,
        seconds=settings.fetch_seconds,
        max_bytes=settings.limits.upload_bytes,
    )
    while True:
        try:
            return _store(run, url.chunks())
        except StartOver:  # it ends: the number of connections is limited
            continue
        except UnsupportedFormat as error:
            if url.is_compressed:
                raise FetchFailed(COMPRESSED) from error
            raise


def _fetch_object(run: StageRun, source: Source) -> Original:
    """Have the store copy the object if it is that of the blobs, else read and write it."""
    found = FetchedObject.find(source, run.job.owner, run.settings)
    copied = found.copy_original(run.blobs) if found.can_be_copied else None
    if copied is None:
        return _store(run, found.chunks())
    blob, content = copied
    run.count_fetched(len(content))
    try:
        meter = _measure(run, content)
        meter.add(content)
        return _describe(run, meter, blob)
    except StageError:
        run.blobs.remove_written()
        raise


def _store(run: StageRun, chunks: Generator[bytes]) -> Original:
    """Write the chunks into the blob store as they come."""
    with closing(chunks):
        head = _read_head(chunks)
        meter = _measure(run, head)
        return _describe(run, meter, run.blobs.write_original(_count(run, meter, chain([head], chunks))))


def _measure(run: StageRun, head: bytes) -> OriginalMeter:
    return OriginalMeter(head[:HEAD_BYTES], run.settings.limits)


def _count(run: StageRun, meter: OriginalMeter, chunks: Iterator[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        meter.add(chunk)
        run.count_fetched(len(chunk))
        if meter.is_too_large:
            raise FetchTooLarge
        yield chunk


def _describe(run: StageRun, meter: OriginalMeter, blob: str) -> Original:
    if meter.is_too_large:
        raise FetchTooLarge
    return meter.describe(blob=blob, name=run.job.original.name)


def _read_head(chunks: Iterator[bytes]) -> bytes:
    """Return at least the bytes that show the format, or the whole content if it is shorter."""
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= HEAD_BYTES:
            break
    return head
