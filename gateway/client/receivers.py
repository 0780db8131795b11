"""Receivers: they take the body of an answer piece by piece, verify it, and return the parsed result."""

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
    """The received bytes do not match the answer's digest. Retried like other transport errors."""


class Receiver(Protocol[T_co]):
    """Takes a body piece by piece, as a context manager. Without a call of `result()`, it leaves no file behind."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def write(self, piece: bytes) -> None:
        """Take the next piece."""

    def result(self) -> T_co:
        """Return the parsed body. Raises `Problem`, or `ContentMismatch` if the bytes do not match their digest."""


class MemoryReceiver(Generic[T]):
    """Keeps the body in memory, and parses it at the end."""

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
        """Return the parsed body. Raises `Problem` if the status is neither a success nor an accepted one."""
        content = bytes(self._content)
        if self._answer.status_code not in OK_RANGE and self._answer.status_code not in self._accepted_statuses:
            raise Problem.of(self._answer, content)
        try:
            return self._read(self._answer, content)
        except ValidationError as error:
            raise Problem.from_unreadable(self._answer, error.errors()[0]["msg"]) from error


class FileReceiver:
    """Writes the body to a temporary file, and renames it when it is complete and verified."""

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
        """Rename the file to its path, or without `overwrite` to a numbered one if a different file has the name."""
        check_digest(self._answer, self._digest.hexdigest())
        self._file.close()
        if self._overwrite:
            self._part.replace(self._path)
            return self._path
        for path in number_paths(self._path):
            if path.is_file() and digest_of(path) == self._digest.hexdigest():  # saved by an earlier call
                return path
            with suppress(FileExistsError):
                path.touch(exist_ok=False)  # reserve the name against other processes
                self._part.replace(path)
                return path
        raise AssertionError("there is always another number")


def digest_of(path: Path) -> str:
    """Return the SHA-256 (hex) of a file."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def verify_content(answer: httpx.Response, content: bytes) -> bytes:
    """Return the content if it matches the answer's digest. Raises `ContentMismatch`."""
    check_digest(answer, sha256(content).hexdigest())
    return content


def check_digest(answer: httpx.Response, digest: str) -> None:
    """Raise `ContentMismatch` if the answer promises another SHA-256 (hex) than this one."""
    expected = expected_digest_of(answer.headers)
    if expected not in (None, digest):
        raise ContentMismatch(
            f"The received bytes have the SHA-256 {digest}, but the gateway sent {expected}.", request=answer.request
        )


def expected_digest_of(headers: httpx.Headers) -> str | None:
    """Return the SHA-256 (hex) that an answer promises: its Repr-Digest (RFC 9530), else its strong ETag, else None."""
    if match := _REPR_DIGEST.search(headers.get("repr-digest", "")):
        return b64decode(match[1]).hex()
    match = _STRONG_ETAG.fullmatch(headers.get("etag", "").strip())
    return match[1] if match else None
