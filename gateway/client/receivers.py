"""Receivers: where the body of an answer goes as it arrives, and what becomes of it at its end."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable
from contextlib import suppress
from hashlib import file_digest, sha256
from pathlib import Path
from secrets import token_hex
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

import httpx
from pydantic import ValidationError

from .filenames import number_paths
from .problem import OK_RANGE, Problem

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
BodyParser = Callable[[httpx.Response, bytes], T]
_REPR_DIGEST = re.compile(r"sha-256=:([A-Za-z0-9+/]{43}=):")
_STRONG_ETAG = re.compile(r'"([0-9a-f]{64})"')


class ContentMismatch(httpx.RemoteProtocolError):
    """The bytes that came are not those that the answer's digest was made of: worth another attempt."""


class Receiver(Protocol[T_co]):
    """Takes a body, piece by piece; leaving its context without a result leaves nothing behind."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def write(self, piece: bytes) -> None:
        """Take the next piece."""

    def result(self) -> T_co:
        """Return the parsed body. Raises `Problem`, or `ContentMismatch` when the digest is that of other bytes."""


class MemoryReceiver(Generic[T]):
    """Keeps the body in memory, to be read at its end."""

    def __init__(
        self, answer: httpx.Response, read: BodyParser[T], *, accepted_statuses: frozenset[int] = frozenset()
    ) -> None:
        self._answer = answer
        self._read = read
        self._accepted_statuses = accepted_statuses
        self._content = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def write(self, piece: bytes) -> None:
        """Take the next piece."""
        self._content += piece

    def result(self) -> T:
        """Read the body; a status that is neither a success nor welcome is a `Problem`."""
        content = bytes(self._content)
        if self._answer.status_code not in OK_RANGE and self._answer.status_code not in self._accepted_statuses:
            raise Problem.of(self._answer, content)
        try:
            return self._read(self._answer, content)
        except ValidationError as error:
            raise Problem.from_unreadable(self._answer, error.errors()[0]["msg"]) from error


class FileReceiver:
    """Writes the body to a file, which appears under its name only when it is whole and right."""

    def __init__(self, answer: httpx.Response, path: Path, *, overwrite: bool = True) -> None:
        self._answer = answer
        self._path = path
        self._overwrite = overwrite
        self._part = path.with_name(f".darkroom-{token_hex(6)}.part")
        self._digest = sha256()

    def __enter__(self) -> Self:
        self._file = self._part.open("xb")
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._part.unlink(missing_ok=True)

    def write(self, piece: bytes) -> None:
        """Write the next piece."""
        self._digest.update(piece)
        self._file.write(piece)

    def result(self) -> Path:
        """Put the file in its place, or beside what is there."""
        check_digest(self._answer, self._digest.hexdigest())
        self._file.close()
        if self._overwrite:
            self._part.replace(self._path)
            return self._path
        for path in number_paths(self._path):
            if path.is_file() and digest_of(path) == self._digest.hexdigest():  # it was saved before
                return path
            with suppress(FileExistsError):
                path.touch(exist_ok=False)  # nobody else takes the name meanwhile
                self._part.replace(path)
                return path
        raise AssertionError("there is always another number")


def digest_of(path: Path) -> str:
    """Return the SHA-256 (hex) of a file."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def verify_content(answer: httpx.Response, content: bytes) -> bytes:
    """Return the content if it is what the answer's digest was made of."""
    check_digest(answer, sha256(content).hexdigest())
    return content


def check_digest(answer: httpx.Response, digest: str) -> None:
    """Compare with the answer's Repr-Digest (RFC 9530), or its strong ETag where that is a SHA-256, or neither."""
    expected = expected_digest_of(answer.headers)
    if expected not in (None, digest):
        raise ContentMismatch(
            f"The bytes have the SHA-256 {digest}, not {expected} as promised.", request=answer.request
        )


def expected_digest_of(headers: httpx.Headers) -> str | None:
    """Return the SHA-256 (hex) that an answer promises for its bytes."""
    if match := _REPR_DIGEST.search(headers.get("repr-digest", "")):
        return b64decode(match[1]).hex()
    match = _STRONG_ETAG.fullmatch(headers.get("etag", "").strip())
    return match[1] if match else None
