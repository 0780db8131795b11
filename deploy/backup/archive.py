"""The archive: one tar, written and read as a stream. What a version before format 2 wrote is read, too.

darkroom/documents/jobs/000000.bson    the documents of a collection, some megabytes a part
darkroom/blobs/<folder>/<name>         every blob
darkroom/manifest.json                 the last: counts and one checksum of all members
"""

from __future__ import annotations

import tarfile
import time
from collections.abc import Iterable, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from tarfile import EOFHeaderError, HeaderError, ReadError, TarFile  # type: ignore[attr-defined]
from typing import Any, Protocol, Self

from deploy.backup.errors import BackupError
from deploy.backup.members import BLOBS, CHUNK_BYTES, DOCUMENTS, MANIFEST, Digest, Manifest, Member, Readable

TOP = "darkroom"
ATTRIBUTE = "DARKROOM.attribute."
"""Prefix of extended headers (POSIX pax) that hold a blob's attributes."""
EXTENDED_HEADERS = {
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
}
END = bytes(2 * tarfile.BLOCKSIZE)


class Writable(Protocol):
    """What an archive is written to."""

    def write(self, data: bytes, /) -> Any:
        """Write all of it."""


class ArchiveWriter:
    """Writes members one by one. Without `finish` there is no manifest, so the archive is refused when it is read."""

    def __init__(self, stream: Writable) -> None:
        self._stream = stream
        self.digest = Digest()
        self.written = 0

    def add(self, name: str, content: Readable, size: int, attributes: Mapping[str, str] | None = None) -> None:
        """Write one member. Its content must have this size."""
        member = Member(name, size, content, attributes or {})
        self.digest.begin(name, size, member.attributes)
        self._add(member, self.digest)

    def finish(self, manifest: Manifest) -> None:
        """Write the manifest and the end of the archive."""
        text = manifest.encode()
        self._add(Member(MANIFEST, len(text), BytesIO(text)), Digest())
        self._write(END + bytes(-(self.written + len(END)) % tarfile.RECORDSIZE))

    def _add(self, member: Member, digest: Digest) -> None:
        info = tarfile.TarInfo(f"{TOP}/{member.name}")
        info.size, info.mode, info.mtime = member.size, 0o600, int(time.time())
        info.pax_headers = {f"{ATTRIBUTE}{name}": value for name, value in member.attributes.items()}
        self._write(info.tobuf(tarfile.PAX_FORMAT))
        for chunk in member.chunks():
            digest.update(chunk)
            self._write(chunk)
        self._write(bytes(-member.size % tarfile.BLOCKSIZE))

    def _write(self, data: bytes) -> None:
        self._stream.write(data)
        self.written += len(data)


class ArchiveReader:
    """The members of an archive, and its manifest once all of them were read; None for one of an earlier version.

    Raises `BackupError` for an archive that ends early or is damaged, at the end at the latest.
    """

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self.manifest: Manifest | None = None

    def __iter__(self) -> Iterator[Member]:
        """Yield each member; what is left unread of it is read before the next."""
        digest = Digest()
        names: set[str] = set()
        try:
            for member in self._read_members():
                if self.manifest is not None:
                    raise BackupError("The backup is damaged: something follows its manifest.")
                if member.name == MANIFEST and member.size <= CHUNK_BYTES:
                    self.manifest = Manifest.decode(b"".join(member.chunks()))
                    continue
                digest.begin(member.name, member.size, member.attributes)
                hashed = Member(member.name, member.size, _Hashing(member.content, digest), member.attributes)
                yield hashed
                while hashed.content.read(CHUNK_BYTES):
                    pass
                if member.name.startswith(f"{DOCUMENTS}/"):
                    names.add(member.name)
        except (tarfile.TarError, ValueError, RecursionError) as error:  # tarfile does not wrap all of them
            raise BackupError(f"The backup is damaged or ends early: {error}.") from error
        _check_end(self.manifest, digest, names)

    def _read_members(self) -> Iterator[Member]:
        stream: Any = self._stream
        with tarfile.open(fileobj=stream, mode="r|", bufsize=CHUNK_BYTES, tarinfo=_StrictHeader) as tar:
            while (info := tar.next()) is not None:
                tar.members.clear()  # type: ignore[attr-defined]  # or it would keep every header
                if info.isdir():
                    continue
                top, _, name = info.name.partition("/")
                content = tar.extractfile(info) if info.isreg() and not info.issparse() and info.size >= 0 else None
                if content is None or top != TOP:
                    raise BackupError(f"The backup has a member that no backup has: {info.name!r}.")
                attributes = {
                    key.removeprefix(ATTRIBUTE): value
                    for key, value in info.pax_headers.items()
                    if key.startswith(ATTRIBUTE)
                }
                yield Member(name, info.size, content, attributes)


class _StrictHeader(tarfile.TarInfo):
    """A header that is damaged or missing is an error: tarfile takes it for the end of the archive.

    So is one that announces a very long name or many attributes: tarfile would read all of it into memory.
    """

    def _proc_member(self, tarfile: TarFile) -> Any:
        """Read what follows the header. The one method through which every version of Python comes to that."""
        if self.type in EXTENDED_HEADERS and not 0 <= self.size <= CHUNK_BYTES:
            raise ReadError(f"a header of {self.size} bytes")
        return super()._proc_member(tarfile)  # type: ignore[misc]

    @classmethod
    def fromtarfile(cls, tarfile: TarFile) -> Self:
        try:
            return super().fromtarfile(tarfile)
        except EOFHeaderError:
            raise
        except HeaderError as error:
            raise ReadError(str(error)) from error


class _Hashing:
    """Adds what is read to a checksum."""

    def __init__(self, content: Readable, digest: Digest) -> None:
        self._content, self._digest = content, digest

    def read(self, size: int, /) -> bytes:
        try:
            chunk = self._content.read(size)
        except tarfile.TarError as error:
            raise BackupError(f"The backup is damaged or ends early: {error}.") from error
        self._digest.update(chunk)
        return chunk


class FolderReader:
    """The members of a folder that a version before format 2 wrote. It has no checksums."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.manifest: Manifest | None = None

    def __iter__(self) -> Iterator[Member]:
        """Yield each member. Raises `BackupError` for links: one could pass off any file of this machine as a blob."""
        if link := next((path for path in self._folder.rglob("*") if path.is_symlink()), None):
            raise BackupError(f"{link} is a link: a backup has none.")
        names: set[str] = set()
        for path in _files(self._folder):
            name = path.relative_to(self._folder).as_posix()
            with path.open("rb") as file:
                yield Member(name, path.stat().st_size, file)
            if name.startswith(f"{DOCUMENTS}/"):
                names.add(name)
        _check_end(None, Digest(), names)


def _files(folder: Path) -> Iterator[Path]:
    yield from sorted((folder / DOCUMENTS).glob("*.bson"))
    for each in (folder / BLOBS).glob("*"):
        yield from each.glob("*")


def _check_end(manifest: Manifest | None, digest: Digest, documents: Iterable[str]) -> None:
    """Raise `BackupError` unless the manifest agrees. An archive without one has one file for each collection."""
    if manifest is None:
        if "documents/jobs.bson" not in documents:
            raise BackupError("This is no backup, or it ends early: it has no manifest.")
    elif manifest.sha256 != digest.hexdigest() or manifest.content_bytes != digest.bytes:
        raise BackupError("The backup is damaged: its content differs from its checksum.")
