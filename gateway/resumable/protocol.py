"""The headers of the tus protocol, version 1.0.0: https://tus.io/protocols/resumable-upload."""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping

from gateway.problems import ChecksumMismatch, InvalidHeader
from gateway.whole_numbers import parse_whole_number

VERSION = "1.0.0"
EXTENSIONS = ("creation", "creation-with-upload", "expiration", "termination", "checksum")
CHECKSUM_ALGORITHMS = ("sha1", "sha256")
MEDIA_TYPE = "application/offset+octet-stream"
MAX_METADATA_BYTES = 8 * 1024

_KEY = re.compile(r"[!-+\--~]+")  # ASCII without space and comma
_METADATA_HELP = "Write it as pairs of a name and a value in base64, such as: format d2VicA==,filename Y2F0LmpwZw=="


def describe_server(max_bytes: int) -> dict[str, str]:
    """Return the headers of the answer to OPTIONS."""
    return {
        "Tus-Resumable": VERSION,
        "Tus-Version": VERSION,
        "Tus-Extension": ",".join(EXTENSIONS),
        "Tus-Max-Size": str(max_bytes),
        "Tus-Checksum-Algorithm": ",".join(CHECKSUM_ALGORITHMS),
    }


def parse_metadata(header: str | None) -> dict[str, str]:
    """Return the pairs of an Upload-Metadata. Raises `InvalidHeader`."""
    if len(header or "") > MAX_METADATA_BYTES:
        raise InvalidHeader(f"Upload-Metadata has more than {MAX_METADATA_BYTES} bytes. Send fewer fields.")
    fields: dict[str, str] = {}
    for pair in (header or "").split(",") if header else ():
        key, _, value = pair.strip().partition(" ")
        if not _KEY.fullmatch(key):
            raise InvalidHeader(f"Upload-Metadata is malformed: a name is missing or not ASCII. {_METADATA_HELP}")
        if key in fields:
            raise InvalidHeader(f"Upload-Metadata has {key!r} more than once. Send each field once.")
        try:
            fields[key] = b64decode(value, validate=True).decode("utf-8", "replace")
        except (Base64Error, ValueError) as error:
            raise InvalidHeader(f"Upload-Metadata is malformed: {key!r} is not base64. {_METADATA_HELP}") from error
    return fields


def read_length(headers: Mapping[str, str]) -> int:
    """Return the Upload-Length. Raises `InvalidHeader`."""
    if "upload-defer-length" in headers:
        raise InvalidHeader("Upload-Defer-Length is not supported. Send the size of the file in Upload-Length.")
    return _read_number(headers, "Upload-Length", "the size of the file in bytes")


def read_offset(headers: Mapping[str, str]) -> int:
    """Return the Upload-Offset. Raises `InvalidHeader`."""
    return _read_number(headers, "Upload-Offset", "where the bytes begin in the file")


def _read_number(headers: Mapping[str, str], name: str, meaning: str) -> int:
    number = parse_whole_number(headers.get(name.lower(), ""))
    if number is None:
        raise InvalidHeader(f"{name} is missing or not a whole number. Send {meaning} in {name}.")
    return number


class Checksum:
    """Hashes the body of a PATCH and compares it with its Upload-Checksum."""

    def __init__(self, header: str) -> None:
        """Raise `InvalidHeader` if the header is malformed or names another algorithm."""
        algorithm, _, value = header.strip().partition(" ")
        if algorithm not in CHECKSUM_ALGORITHMS:
            raise InvalidHeader(
                f"Upload-Checksum does not name a supported algorithm. Use one of: {', '.join(CHECKSUM_ALGORITHMS)}."
            )
        self._digest = hashlib.new(algorithm, usedforsecurity=False)
        try:
            self._expected = b64decode(value, validate=True)
        except (Base64Error, ValueError):
            self._expected = b""
        if len(self._expected) != self._digest.digest_size:
            raise InvalidHeader(f"Upload-Checksum is malformed. Write it as: {algorithm} BASE64.")

    def update(self, chunk: bytes) -> None:
        """Hash the next piece of the body."""
        self._digest.update(chunk)

    def verify(self) -> None:
        """Raise `ChecksumMismatch` if the bytes do not match."""
        if self._digest.digest() != self._expected:
            raise ChecksumMismatch(
                "The bytes do not match Upload-Checksum, so none of them are stored. Send the same bytes again."
            )
