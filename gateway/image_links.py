"""Signed links to images that are made on demand: what is signed, and who has signed it."""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from hmac import compare_digest, digest

from pydantic import SecretStr

from gateway.permission import Permission, Scope
from gateway.problems import InvalidSignature, LinkExpired

PREFIX = "/image/"
ROUTE = "/image/{task_id}/{preset}/{file}"
_EXPIRY = re.compile(rb"exp=([0-9]{1,12})")
WRONG = "The signature of the link is not valid: no signing secret has signed this path with these parameters."


def verify_link(
    path: str, query: bytes, signatures: Sequence[str], secrets: Mapping[str, Sequence[SecretStr]], *, now_ms: int
) -> Permission:
    """Return the permission of a signed link. Raises `InvalidSignature` or `LinkExpired`.

    `path` is below the root path and decoded; `query` is without the signature. Every secret is tried, in constant
    time, even after a match: no two owners share one, so the secret says whose link it is.
    """
    if len(signatures) > 1:
        raise InvalidSignature(f"The link has {len(signatures)} signatures. Send one.")
    text, sent = build_signed_text(path, query), signatures[0].encode()
    matches = [
        owner
        for owner, owned in secrets.items()
        for secret in owned
        if compare_digest(sign_text(text, secret.get_secret_value()), sent)
    ]
    if not matches:
        raise InvalidSignature(WRONG)
    expires_ms = _read_expiry(query)
    if expires_ms is not None and expires_ms <= now_ms:
        raise LinkExpired("The link has expired. Ask for a new one where this one came from.")
    return Permission(owner=matches[0], scope=Scope.LINK, expires_ms=expires_ms)


def build_signed_text(path: str, query: bytes) -> bytes:
    """Return what is signed: the path, and the parameters as they are written, in the order of their bytes.

    It begins with a slash, so it is never what a token signs with the same secret.
    """
    parts = sorted(part for part in query.split(b"&") if part)
    return path.encode() + (b"?" + b"&".join(parts) if parts else b"")


def sign_text(text: bytes, secret: str) -> bytes:
    """Return the signature: HMAC-SHA256 in base64url without padding, of which there is one spelling."""
    return urlsafe_b64encode(digest(secret.encode(), text, "sha256")).rstrip(b"=")


def _read_expiry(query: bytes) -> int | None:
    """Return when the link ends (epoch ms); None if it does not. Refuses an end that would have no effect."""
    parts = [part for part in query.split(b"&") if part.partition(b"=")[0].lower() == b"exp"]
    if not parts:
        return None
    match = _EXPIRY.fullmatch(parts[0])
    if len(parts) > 1 or match is None:
        raise InvalidSignature("The link needs one exp, a time in whole seconds since 1970, or none.")
    return int(match[1]) * 1000
