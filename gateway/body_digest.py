"""Content-Digest (RFC 9530): the body is what its sender hashed, or it is refused."""

from __future__ import annotations

import re
from base64 import b64decode
from hashlib import sha256

from gateway.problems import DigestMismatch, InvalidHeader

_MALFORMED = "Content-Digest is not as RFC 9530 has it: sha-256=:BASE64:."
_MEMBER = re.compile(r"([a-z0-9*_.-]+)=:([A-Za-z0-9+/]*={0,2}):", re.ASCII)


class BodyDigest:
    """Hashes a body as it passes, if its header gave a SHA-256; other algorithms are left alone, as the RFC allows."""

    def __init__(self, header: str | None) -> None:
        self._expected = _expected(header)
        self._digest = sha256()

    def update(self, chunk: bytes) -> None:
        """Take the next piece of the body."""
        if self._expected is not None:
            self._digest.update(chunk)

    def verify(self) -> None:
        """Raise `DigestMismatch` unless the whole body was the one that was hashed."""
        if self._expected is not None and self._digest.digest() != self._expected:
            raise DigestMismatch("The body does not match its Content-Digest.")


def _expected(header: str | None) -> bytes | None:
    if header is None:
        return None
    members = [_MEMBER.fullmatch(part.strip()) for part in header.split(",")]
    if None in members:
        raise InvalidHeader(_MALFORMED)
    found = {member[1]: member[2] for member in members if member}
    if "sha-256" not in found:
        return None
    try:
        return b64decode(found["sha-256"], validate=True)
    except ValueError as error:
        raise InvalidHeader(_MALFORMED) from error
