"""Content-Digest (RFC 9530): refuse a body, or a part of it, that does not match its digest."""

from __future__ import annotations

import re
from base64 import b64decode
from hashlib import sha256

from gateway.problems import DigestMismatch, InvalidHeader

_MEMBER = re.compile(r"([a-z0-9*_.-]+)=:([A-Za-z0-9+/]*={0,2}):", re.ASCII)


class ContentDigest:
    """Hashes a body as it streams in, if the header has a SHA-256. Other algorithms are ignored, as the RFC allows.

    With `part`, the name of a form's field, the header and the bytes are those of that part. With `is_file`, the body
    is the file itself.
    """

    def __init__(self, header: str | None, *, part: str | None = None, is_file: bool = False) -> None:
        self._part = part
        self._is_file = is_file
        self._expected = _parse_digest(header, part)
        self._digest = sha256()

    def update(self, chunk: bytes) -> None:
        """Hash the next piece of the body."""
        if self._expected is not None:
            self._digest.update(chunk)

    def verify(self) -> None:
        """Raise `DigestMismatch` if the bytes do not match the digest."""
        if self._expected is None or self._digest.digest() == self._expected:
            return
        if self._part is not None:
            raise DigestMismatch(
                f"The content of the part {self._part!r} does not match the part's Content-Digest. "
                "Check the digest and send the form again."
            )
        if self._is_file:
            raise DigestMismatch(
                "The file does not match its Content-Digest. Check the digest and send the file again."
            )
        raise DigestMismatch(
            "The body does not match the request's Content-Digest. This digest covers the whole multipart body, with "
            "its boundaries and the headers of its parts (RFC 9530). Check the digest and send the form again."
        )


def is_digest_of(header: str | None, digest: str) -> bool:
    """Whether a Content-Digest has this SHA-256 (hex)."""
    return _parse_digest(header, None) == bytes.fromhex(digest)


def _parse_digest(header: str | None, part: str | None) -> bytes | None:
    if header is None:
        return None
    label = "The request's Content-Digest" if part is None else f"The Content-Digest of the part {part!r}"
    malformed = f"{label} is malformed. Write it as sha-256=:BASE64: (RFC 9530)."
    members = [_MEMBER.fullmatch(member.strip()) for member in header.split(",")]
    if None in members:
        raise InvalidHeader(malformed)
    digests = {member[1]: member[2] for member in members if member}
    if "sha-256" not in digests:
        return None
    try:
        return b64decode(digests["sha-256"], validate=True)
    except ValueError as error:
        raise InvalidHeader(malformed) from error
