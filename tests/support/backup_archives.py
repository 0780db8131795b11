"""Archives of earlier versions, and the places where one can be cut off or damaged."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

from bson import encode

LEGACY_DOCUMENTS = [{"_id": "old", "state": "done"}, {"_id": "older", "state": "dead"}]


def write_legacy_folder(folder: Path) -> Path:
    """Write what `save FOLDER` wrote before archives had a manifest, and return the folder."""
    (folder / "documents").mkdir(parents=True)
    (folder / "blobs" / "old").mkdir(parents=True)
    (folder / "documents" / "jobs.bson").write_bytes(b"".join(map(encode, LEGACY_DOCUMENTS)))
    (folder / "documents" / "idempotency_keys.bson").touch()
    (folder / "blobs" / "old" / "small.1").write_bytes(b"old")
    return folder


def cut_places(archive: bytes) -> Iterator[tuple[str, int]]:
    """Yield where an archive can be cut off, in words and as an offset: before, in and after each part of a member."""
    yield "to nothing", 0
    for info in _members(archive):
        end = info.offset_data + info.size
        if info.offset:
            yield f"before {info.name}", info.offset
        yield f"in the header of {info.name}", info.offset + 100
        yield f"at the end of a block of the header of {info.name}", info.offset + tarfile.BLOCKSIZE
        if info.size:
            yield f"before the content of {info.name}", info.offset_data
            yield f"in the content of {info.name}", info.offset_data + (info.size + 1) // 2
        yield f"after the content of {info.name}", end
        yield f"after {info.name}", end + -end % tarfile.BLOCKSIZE


def damage_places(archive: bytes) -> Iterator[tuple[str, int]]:
    """Yield where a byte can differ: in the header and in the content of each member."""
    for info in _members(archive):
        yield f"in the name of {info.name}", info.offset_data - tarfile.BLOCKSIZE + 2
        yield f"in the checksum of the header of {info.name}", info.offset_data - tarfile.BLOCKSIZE + 150
        if info.size:
            yield f"at the begin of {info.name}", info.offset_data
            yield f"in the middle of {info.name}", info.offset_data + info.size // 2


def _members(archive: bytes) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return tar.getmembers()
