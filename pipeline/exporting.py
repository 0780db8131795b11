"""The work of the stage export: put the renditions into the bucket that the preset names."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError

from pipeline.export_plan import ExportedFile, plan_export
from stages.errors import ExportFailed, TemporaryError
from storage.object_store import connect

if TYPE_CHECKING:
    from obstore.store import ObjectStore

    from pipeline.settings import Settings
    from pipeline.stage_run import StageRun
    from storage.documents import DestinationReference

SHARE_OF_TIME_LIMIT = 0.8
"""The part of the soft time limit that a run may take: what stops it then names the destination."""
CONCURRENCY = 4
LARGE_BYTES = 5 * 1024 * 1024
"""Files over this are put one after the other, in parts of this size. So a run holds some parts, or a few small files.

S3 accepts no part below 5 MiB.
"""
LARGE_CONCURRENCY = 2
DESTINATION_ERRORS = (BaseError, OSError)


def export_renditions(run: StageRun) -> Mapping[str, Any]:
    """Put every file of every rendition into the bucket and return where each is. Doing it twice is harmless.

    Raises `TemporaryError` when the bucket does not take one, for whatever reason: someone can mend it.
    """
    destination = run.job.operation.destination
    if destination is None:
        raise ValueError("the job has no destination")
    try:
        files = plan_export(run.job, destination.key)
    except KeyError as error:
        message = f"The keys of the destination {destination.name} need {error.args[0]}, which this job does not have."
        raise ExportFailed(message) from None
    export = _Export(run, _open(destination, run.settings), destination)
    asyncio.run(export.put_all(files, seconds=SHARE_OF_TIME_LIMIT * run.settings.work.soft_time_limit))
    return {"destination": destination.name, "objects": [file.record for file in files]}


class _Export:
    """The files of one run on their way to one bucket."""

    def __init__(self, run: StageRun, store: ObjectStore, destination: DestinationReference) -> None:
        self._blobs, self._store, self._destination = run.blobs, store, destination

    async def put_all(self, files: list[ExportedFile], *, seconds: float) -> None:
        """Put the files; the first error ends it."""
        small = iter([file for file in files if file.bytes <= LARGE_BYTES])
        try:
            async with asyncio.timeout(seconds) as limit:
                await asyncio.gather(*(self._put_each(small) for _ in range(CONCURRENCY)))
                await self._put_each(iter([file for file in files if file.bytes > LARGE_BYTES]))
        except TimeoutError:
            if limit.expired():
                raise _failure(self._destination, "time_limit") from None
            raise

    async def _put_each(self, files: Iterator[ExportedFile]) -> None:
        for file in files:
            source = _Source(await self._blobs.stream_result(file.blob, file.bytes))
            is_large = file.bytes > LARGE_BYTES
            content = source.read() if is_large else b"".join([chunk async for chunk in source.read()])
            try:
                await self._put(file, content, is_large=is_large)
            except DESTINATION_ERRORS as error:
                if source.error is not None:
                    raise source.error from None
                raise _failure(self._destination, type(error).__name__) from None

    async def _put(self, file: ExportedFile, content: bytes | AsyncIterator[bytes], *, is_large: bool) -> None:
        attributes: Any = {"Content-Type": file.media_type}
        if self._destination.cache_control is not None:
            attributes["Cache-Control"] = self._destination.cache_control
        put = await obstore.put_async(
            self._store,
            file.key,
            content,
            attributes=attributes,
            use_multipart=is_large,
            chunk_size=LARGE_BYTES,
            max_concurrency=LARGE_CONCURRENCY,
        )
        await self._check(file, put["e_tag"])

    async def _check(self, file: ExportedFile, etag: str | None) -> None:
        """Raise OSError unless the object has the size of the file, or is already one of a later writer."""
        try:
            found = await obstore.head_async(self._store, file.key)
        except PermissionDeniedError:  # keys that may only write are enough
            return
        if found["size"] != file.bytes and found["e_tag"] == etag:
            raise OSError("the object has another size")


class _Source:
    """A file in our own store. Its errors are not those of the bucket that it is put into."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self.error: Exception | None = None

    async def read(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._chunks:
                yield chunk
        except DESTINATION_ERRORS as error:
            self.error = error
            raise


def _open(destination: DestinationReference, settings: Settings) -> ObjectStore:
    if destination.name not in settings.destinations:
        raise _failure(destination, "not_in_settings")
    known = settings.destinations[destination.name]
    try:
        return connect(known.url, options=known.options)
    except (*DESTINATION_ERRORS, ValueError) as error:
        raise _failure(destination, type(error).__name__) from None


def _failure(destination: DestinationReference, detail: str) -> TemporaryError:
    """Return the error of a run. It names the destination, and has nothing of the bucket's answer or address."""
    refusal = ExportFailed(f"The bucket of the destination {destination.name} did not take the results.")
    return TemporaryError(refusal, detail=f"{destination.name}: {detail}")
