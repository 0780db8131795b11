"""Signs tokens without a gateway, with the secret of their owner."""

from __future__ import annotations

import hmac
import json
import math
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from ..client.models import Token
from .command import CommandError

MIN_SECRET_CHARACTERS = 32
VIEW_ROUNDING_SECONDS = 900
"""As in the gateway: within a quarter of an hour, a view token is the same, and so are the addresses with it."""


def sign_token(
    owner: str, wanted: Mapping[str, Any], *, seconds: float, secret: str, now: float | None = None
) -> Token:
    """Return a token for what `wanted` says, as POST /tokens takes it. `now` is in epoch seconds."""
    if len(secret) < MIN_SECRET_CHARACTERS:
        raise CommandError(f"The signing secret has less than {MIN_SECRET_CHARACTERS} characters.")
    end = (time.time() if now is None else now) + seconds
    if wanted["scope"] == "upload":
        limits = {name: value for name, value in wanted.items() if name != "token_id"}
        claims = {**limits, "exp": math.ceil(end), "jti": wanted.get("token_id") or uuid4().hex}
    else:
        scope = ":".join(("read", "/".join(filter(None, (wanted.get("task_id"), wanted.get("rendition"))))))
        claims = {"exp": math.ceil(end / VIEW_ROUNDING_SECONDS) * VIEW_ROUNDING_SECONDS, "scope": scope}
    return Token(
        token=_encode_jwt({"sub": owner, **claims}, secret),
        expires_at=datetime.fromtimestamp(claims["exp"], UTC),
        token_id=claims.get("jti"),
    )


def _encode_jwt(claims: Mapping[str, Any], secret: str) -> str:
    """Return a JWT that is signed with HS256. Only this much of a JWT library is needed, so the wheel needs none."""
    head, body = (_encode_part(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    signed = f"{head}.{body}"
    return f"{signed}.{_encode_part(hmac.digest(secret.encode(), signed.encode(), 'sha256'))}"


def _encode_part(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()
