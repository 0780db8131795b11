"""The parts of a resumable upload as blobs: stored as they arrive, merged when they are many, joined in the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from hashlib import sha256
from uuid import uuid4

from gateway.resumable.body import UploadBody
from gateway.submission.blob_room import HeldRoom
from stages.formats import HEAD_BYTES, MEDIA_TYPES, recognize
from stages.limits import Limits
from storage.blobs import Blobs
from storage.documents import Original, blob_key, job_folder
from storage.errors import TRANSIENT_ERRORS
from storage.resumable_uploads import Part, ResumableUpload

MAX_SMALL_PARTS = 64
MERGE_PARTS = 32
PART_PREFIX, ORIGINAL_PREFIX = "part.", "original."


class PartStore:
    """The blobs of resumable uploads. Each has a name of its own, so that two requests never write the same blob."""

    def __init__(self, blobs: Blobs, room: HeldRoom, *, part_bytes: int) -> None:
        self._blobs = blobs
        self._room = room
        self._part_bytes = part_bytes

    async def store(self, upload: ResumableUpload, body: UploadBody, *, start: int) -> Part:
        """Store the next bytes of a body as a part. Memory is bounded."""
        name, size = f"{PART_PREFIX}{uuid4().hex}", 0
        key = blob_key(upload.id, name)
        async with self._blobs.writer(key) as blob:
            async for chunk in body.iterate(self._part_bytes):
                size += len(chunk)
                await blob.write(chunk)
                self._room.use(len(chunk))
        return Part(start, size, name)

    async def read_head(self, upload: ResumableUpload, parts: Sequence[Part]) -> bytes:
        """Return the first bytes of the file, which show its format. Raises `FileNotFoundError` if some are lost."""
        return await asyncio.to_thread(self._read_head, upload, parts)

    def choose_parts_to_merge(self, upload: ResumableUpload) -> list[Part]:
        """Return the last parts, if there are too many; none otherwise.

        Earlier parts are taken as long as they are no larger than what follows. So each byte is copied a few times
        only, however small the parts are (the merge policy of a log-structured merge tree).
        """
        parts = upload.sorted_parts
        if len(parts) <= MAX_SMALL_PARTS + upload.length // self._part_bytes:
            return []
        first = len(parts) - MERGE_PARTS
        while first and parts[first - 1].bytes <= sum(part.bytes for part in parts[first:]):
            first -= 1
        return parts[first:]

    async def merge(self, upload: ResumableUpload, parts: Sequence[Part]) -> Part:
        """Write a blob that has the bytes of several parts."""
        name, size = f"{PART_PREFIX}{uuid4().hex}", sum(part.bytes for part in parts)
        await self._copy(upload, parts, blob_key(upload.id, name), size)
        return Part(parts[0].start, size, name)

    async def join(
        self, upload: ResumableUpload, parts: Sequence[Part], *, name: str | None, limits: Limits
    ) -> Original:
        """Write the original, which has the bytes of all parts."""
        sniffed = recognize(await self.read_head(upload, parts), limits)
        key = blob_key(upload.id, f"{ORIGINAL_PREFIX}{uuid4().hex}")
        digest = await self._copy(upload, parts, key, upload.length)
        media_type = MEDIA_TYPES[sniffed.format]
        return Original(blob=key, name=name, media_type=media_type, bytes=upload.length, sha256=digest)

    async def remove(self, upload: ResumableUpload, names: Sequence[str]) -> None:
        """Remove blobs of an upload. Errors are ignored: they go with the rest of the folder."""
        with suppress(*TRANSIENT_ERRORS):
            await asyncio.to_thread(self._blobs.remove, job_folder(upload.id), names)

    def _read_head(self, upload: ResumableUpload, parts: Sequence[Part]) -> bytes:
        head = b""
        for part in parts:
            if len(head) < HEAD_BYTES:
                size, key = min(part.bytes, HEAD_BYTES), upload.key_of(part)
                piece = self._blobs.get(key, stop=size)
                if len(piece) != size:
                    raise FileNotFoundError(f"{key} has {len(piece)} of {size} bytes")
                head += piece
        return head

    async def _read(self, upload: ResumableUpload, part: Part) -> AsyncIterator[bytes]:
        """Yield the bytes of a part. Raises `FileNotFoundError` if some are lost."""
        size, key = 0, upload.key_of(part)
        async for chunk in await self._blobs.stream(key, start=0, stop=part.bytes):
            size += len(chunk)
            yield chunk
        if size != part.bytes:
            raise FileNotFoundError(f"{key} has {size} of {part.bytes} bytes")

    async def _copy(self, upload: ResumableUpload, parts: Sequence[Part], key: str, size: int) -> str:
        """Write the bytes of the parts to one blob, and return their SHA-256 (hex)."""
        self._room.expect_copy(size)
        digest = sha256()
        async with self._blobs.writer(key, observe=digest.update) as blob:
            for part in parts:
                async for chunk in self._read(upload, part):
                    await blob.write(chunk)
                    self._room.use(len(chunk))
        return digest.hexdigest()


async def remove_bytes(blobs: Blobs, upload: ResumableUpload, *, original: Original | None = None) -> None:
    """Remove the folder of an upload, or all that its job does not need. Errors are ignored: the tidier removes it."""
    with suppress(*TRANSIENT_ERRORS):
        if original is None:
            await asyncio.to_thread(blobs.remove_folder, job_folder(upload.id))
        else:
            await asyncio.to_thread(_remove_parts, blobs, upload, original)


def _remove_parts(blobs: Blobs, upload: ResumableUpload, original: Original) -> None:
    folder = job_folder(upload.id)
    names = [
        name
        for name in blobs.list_all_names(folder)
        if name.startswith((PART_PREFIX, ORIGINAL_PREFIX)) and blob_key(upload.id, name) != original.blob
    ]
    blobs.remove(folder, names)
