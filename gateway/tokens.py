"""Tokens: permissions that say less than an API key, as JWT (RFC 7519), signed with a secret of their owner."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import jwt
from pydantic import SecretStr

from gateway.claims import read_claims
from gateway.permission import Permission
from gateway.problems import InvalidToken, TokenExpired

Secrets = Mapping[str, Sequence[SecretStr]]
"""The signing secrets of each owner. The first one signs; all of them verify, so that secrets can be replaced."""
ALGORITHM = "HS256"
MAX_TOKEN_CHARACTERS = 4096
MAX_SECONDS = 86_400
VIEW_SECONDS = 3600
"""How long the view token of a new job is valid, at least."""
ROUNDING_SECONDS = 900
"""The end of a view token is a multiple of this, so that its URL stays the same for a while and caches work."""
LEEWAY_SECONDS = 60
"""How far the clock of the machine that signed a token may be off."""
_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
_UNCHECKED = {f"verify_{claim}": False for claim in ("exp", "nbf", "iat", "aud", "iss", "sub", "jti")}
WRONG = "The token is not valid: it is damaged, or no signing secret of its owner has signed it."


def has_form_of_token(text: str) -> bool:
    """Whether a text may be a token: three parts in base64url. No API key of ours has a dot in it."""
    return _FORM.fullmatch(text) is not None


def sign_token(claims: dict[str, Any], secrets: Secrets) -> str:
    """Return a token with these claims, signed with the first secret of its owner (`sub`)."""
    return jwt.encode(claims, secrets[claims["sub"]][0].get_secret_value(), algorithm=ALGORITHM)


def sign_view_token(secrets: Secrets, *, owner: str | None, task_id: str, now_ms: int) -> str | None:
    """Return a token that reads one job for an hour; None if the owner has no signing secret."""
    if owner is None or owner not in secrets:
        return None
    return sign_token(view_claims(owner=owner, task_id=task_id, now_ms=now_ms), secrets)


def view_claims(
    *, owner: str, task_id: str, now_ms: int, rendition: str | None = None, seconds: float = VIEW_SECONDS
) -> dict[str, Any]:
    """Return the claims of a token that reads one job or one rendition, for at least so many seconds.

    They are the same for a quarter of an hour, and so are the token and every URL that it is a part of.
    """
    scope = f"read:{task_id}" if rendition is None else f"read:{task_id}/{rendition}"
    end = math.ceil((now_ms / 1000 + seconds) / ROUNDING_SECONDS) * ROUNDING_SECONDS
    return {"sub": owner, "exp": end, "scope": scope}


def verify_token(token: str, secrets: Secrets, *, now_ms: int) -> Permission:
    """Return what a token allows. Raises `InvalidToken` or `TokenExpired`.

    It must be signed with a secret of its own `sub`, so that no owner can sign for another one. The algorithm is ours,
    whatever its header says.
    """
    if len(token) > MAX_TOKEN_CHARACTERS:
        raise InvalidToken(f"The token has more than {MAX_TOKEN_CHARACTERS} characters.")
    if not has_form_of_token(token):
        raise InvalidToken(WRONG)
    claims = read_claims(_read_payload(token, secrets))
    now = now_ms / 1000
    if claims.exp + LEEWAY_SECONDS <= now:
        raise TokenExpired("The token has expired. Ask for a new one where this one came from.")
    if claims.nbf > now + LEEWAY_SECONDS:
        raise InvalidToken("The token is not valid yet: see its claim nbf.")
    if claims.exp > now + MAX_SECONDS + ROUNDING_SECONDS + LEEWAY_SECONDS:
        raise InvalidToken("The claim exp is more than 24 hours ahead. Sign a token that ends sooner.")
    return claims.permission()


def _read_payload(token: str, secrets: Secrets) -> dict[str, Any]:
    """Return the payload of a token that a secret of its owner has signed."""
    try:
        owner = jwt.decode(token, options={"verify_signature": False}).get("sub")
    except (jwt.PyJWTError, ValueError):
        raise InvalidToken(WRONG) from None
    for secret in secrets.get(owner, ()) if isinstance(owner, str) else ():
        try:
            return jwt.decode(token, secret.get_secret_value(), algorithms=[ALGORITHM], options=_UNCHECKED)  # type: ignore[arg-type]  # a literal
        except (jwt.PyJWTError, ValueError):
            continue
    raise InvalidToken(WRONG)
