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
DOCUMENT_MAX_BYTES = 8 << 20
"""The largest JSON document and the largest error answer; a page of 100 jobs has a tenth of it."""
RESULT_MAX_BYTES = 1 << 30
"""The largest result; the default limit of 50 megapixels makes PNGs of at most 200 MB."""


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
        self,
        answer: httpx.Response,
        read: BodyParser[T],
        *,
        accepted_statuses: frozenset[int] = frozenset(),
        max_bytes: int = DOCUMENT_MAX_BYTES,
    ) -> None:
        self._answer = answer
        self._read = read
        self._is_accepted = answer.status_code in OK_RANGE or answer.status_code in accepted_statuses
        self._max_bytes = max_bytes if self._is_accepted else DOCUMENT_MAX_BYTES
        self._content = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def write(self, piece: bytes) -> None:
        """Take the next piece. Raises `Problem` if there are too many."""
        self._content += piece
        _check_size(self._answer, len(self._content), self._max_bytes)

    def result(self) -> T:
        """Return the parsed body. Raises `Problem` if the status is neither a success nor an accepted one."""
        content = bytes(self._content)
        if not self._is_accepted:
            raise Problem.of(self._answer, content)
        try:
            return self._read(self._answer, content)
        except ValidationError as error:
            raise Problem.from_unreadable(self._answer, _describe_first_error(error)) from error


class FileReceiver:
    """Writes the body to a temporary file, and renames it when it is complete and verified."""

    def __init__(
        self, answer: httpx.Response, path: Path, *, overwrite: bool = True, max_bytes: int = RESULT_MAX_BYTES
    ) -> None:
        self._answer = answer
        self._path = path
        self._overwrite = overwrite
        self._max_bytes = max_bytes
        self._part = path.with_name(f".darkroom-{token_hex(6)}.part")
        self._digest = sha256()

    def __enter__(self) -> Self:
        self._file = self._part.open("xb")
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._part.unlink(missing_ok=True)

    def write(self, piece: bytes) -> None:
        """Write the next piece. Raises `Problem` if there are too many."""
        self._digest.update(piece)
        self._file.write(piece)
        _check_size(self._answer, self._file.tell(), self._max_bytes)

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


def _check_size(answer: httpx.Response, size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise Problem.from_unreadable(answer, f"It is larger than {max_bytes >> 20} MiB.")


def _describe_first_error(error: ValidationError) -> str:
    first = error.errors(include_input=False, include_url=False)[0]
    return ": ".join([".".join(map(str, first["loc"])), first["msg"]] if first["loc"] else [first["msg"]])


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
