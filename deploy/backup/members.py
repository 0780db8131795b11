"""What a backup consists of: documents in parts, then blobs, each a member with a name, a size and content."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Protocol

from deploy.backup.errors import BackupError
from storage.stores import COLLECTIONS

BLOBS = "blobs"
DOCUMENTS = "documents"
MANIFEST = "manifest.json"
FORMAT = 2
CHUNK_BYTES = 1024 * 1024
MAX_DOCUMENT_BYTES = 48 * 1024 * 1024
"""MongoDB's largest message; a document has 16 MiB at most. A damaged length is larger in most cases."""
MIN_DOCUMENT_BYTES = 5


class Readable(Protocol):
    """What content is read from."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes; none at the end."""


@dataclass(frozen=True, slots=True)
class Member:
    """One file of a backup. `attributes` are the headers that an object store keeps with a blob."""

    name: str
    size: int
    content: Readable
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def collection(self) -> str | None:
        """The collection whose documents these are; None if it is a blob. Raises `BackupError` for any other name."""
        kind, _, rest = self.name.partition("/")
        if kind == BLOBS and rest.count("/") == 1:
            return None
        collection = rest.removesuffix(".bson").partition("/")[0]
        if kind != DOCUMENTS or collection not in COLLECTIONS:
            raise BackupError(f"The backup has a member that no backup has: {self.name!r}.")
        return collection

    @property
    def key(self) -> str:
        """The key of a blob."""
        return self.name.removeprefix(f"{BLOBS}/")

    def chunks(self) -> Iterator[bytes]:
        """Yield the content. Raises `BackupError` when there is less of it than announced."""
        missing = self.size
        while missing:
            chunk = self.content.read(min(CHUNK_BYTES, missing))
            if not chunk:
                raise BackupError(f"The backup ends early: {missing} bytes of {self.name} are missing.")
            missing -= len(chunk)
            yield chunk

    def documents(self) -> Iterator[bytes]:
        """Yield each document as BSON."""
        source = _Exactly(self)
        while head := source.read(4, at_end=True):
            size = int.from_bytes(head, "little", signed=True)
            if not MIN_DOCUMENT_BYTES <= size <= MAX_DOCUMENT_BYTES:
                raise BackupError(f"The backup is damaged: {self.name} has a document of {size} bytes.")
            document = head + source.read(size - 4)
            if document[-1]:
                raise BackupError(f"The backup is damaged: a document of {self.name} has no end.")
            yield document


class _Exactly:
    """Reads as many bytes as asked for, from the chunks of a member."""

    def __init__(self, member: Member) -> None:
        self._name, self._chunks, self._buffer = member.name, member.chunks(), bytearray()

    def read(self, size: int, *, at_end: bool = False) -> bytes:
        while len(self._buffer) < size and (chunk := next(self._chunks, b"")):
            self._buffer += chunk
        if at_end and not self._buffer:
            return b""
        if len(self._buffer) < size:
            raise BackupError(f"The backup is damaged: {self._name} ends within a document.")
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken


class Digest:
    """One checksum of all members in their order: names, attributes, sizes and content."""

    def __init__(self) -> None:
        self._hash = sha256()
        self.bytes = 0

    def begin(self, name: str, size: int, attributes: Mapping[str, str]) -> None:
        """Add a member, whose content follows."""
        self._hash.update(json.dumps([name, size, dict(attributes)], sort_keys=True).encode() + b"\n")
        self.bytes += size

    def update(self, content: bytes) -> None:
        """Add content."""
        self._hash.update(content)

    def hexdigest(self) -> str:
        """Return the checksum so far."""
        return self._hash.hexdigest()


@dataclass(frozen=True, slots=True)
class Manifest:
    """The last member: what must have come before it."""

    format: int
    version: str
    created: str
    counts: Mapping[str, int]
    content_bytes: int
    sha256: str

    def encode(self) -> bytes:
        """Return it as JSON."""
        return json.dumps(asdict(self), indent=1).encode()

    @classmethod
    def decode(cls, text: bytes) -> Manifest:
        """Read it. Raises `BackupError` for one that this version cannot read."""
        try:
            values = json.loads(text)
            if values["format"] != FORMAT:
                raise BackupError(f"The backup has format {values['format']}; this version reads up to {FORMAT}.")
            known = {name: values[name] for name in cls.__dataclass_fields__}
            return cls(**known | {"counts": dict(known["counts"])})
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise BackupError("The backup is damaged: its manifest cannot be read.") from error
