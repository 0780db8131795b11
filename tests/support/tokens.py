"""Tokens for the tests, signed by hand: also those that no library signs."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from hmac import digest
from typing import Any

from pydantic import SecretStr

from storage.clock import now_ms

ADA_SECRET, ADA_OLD_SECRET, ZOE_SECRET = ("0123456789abcdef0123456789abcde" + end for end in "aoz")
SECRETS = {"ada": (SecretStr(ADA_SECRET), SecretStr(ADA_OLD_SECRET)), "zoe": (SecretStr(ZOE_SECRET),)}


def encode(part: bytes) -> str:
    """Return base64url without padding."""
    return urlsafe_b64encode(part).rstrip(b"=").decode()


def sign(payload: object, secret: str = ADA_SECRET, *, algorithm: str = "sha256", **header: Any) -> str:
    """Return a token with this payload; text is taken as it is."""
    body = payload if isinstance(payload, str) else json.dumps(payload)
    head = json.dumps({"alg": "HS256", "typ": "JWT", **header})
    signed = f"{encode(head.encode())}.{encode(body.encode())}"
    return f"{signed}.{encode(digest(secret.encode(), signed.encode(), algorithm))}"


def upload_claims(**claims: Any) -> dict[str, Any]:
    """Return the claims of an upload token of Ada's that is valid for an hour; None leaves a claim out."""
    given = {"sub": "ada", "exp": now_ms() // 1000 + 3600, "jti": "token-one", "scope": "upload", **claims}
    return {name: value for name, value in given.items() if value is not None}


def view_claims(task_id: str, **claims: Any) -> dict[str, Any]:
    """Return the claims of a view token of Ada's."""
    return upload_claims(scope=f"read:{task_id}", jti=None, **claims)


def bearer(claims: dict[str, Any], *secret: str) -> dict[str, str]:
    """Return the header of a request with a token."""
    return {"Authorization": f"Bearer {sign(claims, *secret)}"}
