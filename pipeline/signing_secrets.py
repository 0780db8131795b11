"""The signing secrets of tokens, and the checks that keep one owner from signing for another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Annotated

from pydantic import AfterValidator, SecretStr

MAX_SECRETS = 2
MIN_CHARACTERS, MAX_CHARACTERS = 32, 256


def _check_form(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    is_visible = text.isascii() and text.isprintable() and " " not in text
    if not is_visible or not MIN_CHARACTERS <= len(text) <= MAX_CHARACTERS:
        raise ValueError(
            f"each secret should have {MIN_CHARACTERS} to {MAX_CHARACTERS} visible ASCII characters; "
            "`./run key OWNER --signing` makes one"
        )
    return secret


SigningSecret = Annotated[SecretStr, AfterValidator(_check_form)]


def check_signing_secrets(secrets: Mapping[str, Sequence[SecretStr]], api_keys: Mapping[str, str]) -> None:
    """Raise ValueError for secrets that anybody but their owner could know, or that do not work."""
    name = "DARKROOM_SIGNING_SECRETS"
    if unknown := sorted(set(secrets) - set(api_keys)):
        raise ValueError(f"{name}: {', '.join(unknown)} should be among the owners in DARKROOM_API_KEYS")
    digests, seen = set(api_keys.values()), set[str]()
    for owner, owned in secrets.items():
        if not 1 <= len(owned) <= MAX_SECRETS:
            raise ValueError(f"{name}: {owner} should have 1 or {MAX_SECRETS} secrets")
        for text in {secret.get_secret_value() for secret in owned}:
            if text in digests or sha256(text.encode()).hexdigest() in digests:
                raise ValueError(f"{name}: the secret of {owner} should not be an API key, nor the SHA-256 of one")
            if text in seen:
                raise ValueError(f"{name}: two owners should not share a secret: each could sign for the other")
            seen.add(text)
