"""An object in a bucket, as it is fetched: read, or copied by the store itself."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from functools import partial
from time import monotonic

import structlog

from pipeline.settings import Settings
from pipeline.sources import find_source, sources_of
from pipeline.stage_blobs import StageBlobs
from stages.errors import FetchFailed, FetchRefused, FetchTimeout, FetchTooLarge, TemporaryError
from storage.documents import Source
from storage.source_objects import (
    MISSING_ERRORS,
    STORE_ERRORS,
    SourceObject,
    can_copy_within_store,
    copy_within_store,
    open_object,
    read_size,
)

NOT_ALLOWED = "The owner of the job may not use this object any more."
NOT_READABLE = "The object does not exist, or may not be read."
NO_ANSWER = "The bucket did not answer, or the object changed while it was read."

log = structlog.get_logger("pipeline")


class FetchedObject:
    """One object, for one run of the stage. Every error names neither the bucket nor its server."""

    def __init__(self, found: SourceObject, settings: Settings) -> None:
        self._object = found
        self._settings = settings
        self._deadline = monotonic() + settings.fetch_seconds

    @classmethod
    def find(cls, source: Source, owner: str | None, settings: Settings) -> FetchedObject:
        """Return the object if it is in a bucket of the owner, as the settings are now. Sends no request."""
        match = find_source(source.address, sources_of(owner, settings.sources))
        if match is None:
            raise FetchRefused(NOT_ALLOWED)
        bucket, key = match
        return cls(SourceObject(bucket.url, bucket.options, key, source.version), settings)

    @property
    def can_be_copied(self) -> bool:
        """Whether the object is in the bucket of the blobs, so that the store can copy it."""
        return can_copy_within_store(self._object, self._settings.blob_url)

    def copy_original(self, blobs: StageBlobs) -> tuple[str, bytes] | None:
        """Have the store copy the object; return the key of the blob and its content, or None if the store does not.

        Format and hash are those of the copy, so it does not matter if the object changes meanwhile.
        """
        with _explain_errors():
            self._check_size(read_size(self._object))
        try:
            return blobs.copy_original(partial(copy_within_store, self._object, self._settings.blob_url))
        except STORE_ERRORS as error:
            log.warning("copy.failed", error=type(error).__name__)
            return None

    def chunks(self) -> Generator[bytes]:
        """Yield the object as it was when it was opened."""
        with _explain_errors(), open_object(self._object) as (size, chunks):
            self._check_size(size)
            for chunk in chunks:
                if monotonic() > self._deadline:
                    raise TemporaryError(FetchTimeout(), detail="deadline")
                yield chunk

    def _check_size(self, size: int) -> None:
        if size > self._settings.limits.upload_bytes:
            raise FetchTooLarge


@contextmanager
def _explain_errors() -> Iterator[None]:
    """Turn errors of a bucket into those of the stage."""
    try:
        yield
    except MISSING_ERRORS as error:
        log.info("object.unreadable", error=type(error).__name__)
        raise FetchFailed(NOT_READABLE) from None  # the error has the address, which may have a token in it
    except STORE_ERRORS as error:
        raise TemporaryError(FetchFailed(NO_ANSWER), detail=type(error).__name__) from None
