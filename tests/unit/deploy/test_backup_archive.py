"""An archive that somebody made on purpose costs neither memory nor time, and is refused in one line."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from hashlib import sha256

import pytest

from deploy.backup.archive import ArchiveReader
from deploy.backup.errors import BackupError
from deploy.backup.restore import verify

END = bytes(2 * tarfile.BLOCKSIZE)
BLOB = "darkroom/blobs/job/small.1"
GIB = 1024**3


def header(
    name: str, size: int = 0, kind: bytes = tarfile.REGTYPE, attributes: Mapping[str, str] | None = None
) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    info.pax_headers = dict(attributes or {})
    return info.tobuf(tarfile.PAX_FORMAT)


def manifest(text: str) -> bytes:
    return header("darkroom/manifest.json", len(text)) + text.encode() + bytes(-len(text) % tarfile.BLOCKSIZE) + END


def refuse(archive: bytes, message: str) -> None:
    with pytest.raises(BackupError, match=message):
        pytest.fail(f"it is {verify(ArchiveReader(io.BytesIO(archive)))}")


def test_a_sparse_member_is_refused_because_a_few_bytes_can_stand_for_a_full_disk() -> None:
    sparse = {"GNU.sparse.size": str(GIB), "GNU.sparse.map": "0,0", "GNU.sparse.name": BLOB}

    refuse(header(BLOB, attributes=sparse) + END, "no backup has")


def test_a_member_of_negative_size_is_refused() -> None:
    refuse(header(BLOB, attributes={"size": "-512"}) + END, "no backup has|invalid offset")


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_header_that_would_fill_the_memory_is_refused_before_it_is_read(kind: bytes) -> None:
    refuse(header("long", 4 * GIB, kind), f"a header of {4 * GIB} bytes")


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_headers_before_headers_are_refused(kind: bytes) -> None:
    refuse(header("again", 0, kind) * 5000 + END, "damaged")


@pytest.mark.parametrize("counts", [5, None, [1], "ab"])
def test_a_manifest_with_other_types_is_refused(counts: object) -> None:
    values = {"format": 2, "version": "1", "created": "", "content_bytes": 0, "sha256": sha256().hexdigest()}

    refuse(manifest(json.dumps(values | {"counts": counts})), "its manifest cannot be read")


def test_a_manifest_that_is_nested_too_deeply_is_refused() -> None:
    refuse(manifest("[" * 900_000), "its manifest cannot be read")
