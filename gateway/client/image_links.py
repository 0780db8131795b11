"""Links to images that are made on demand, for pages: signed here, without the gateway."""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from datetime import datetime
from urllib.parse import quote

MIN_SECRET_CHARACTERS = 32


def image_url(  # noqa: PLR0913  # what a link says
    gateway: str,
    task_id: str,
    preset: str,
    file: str,
    *,
    secret: str | None = None,
    version: str | None = None,
    expires: datetime | None = None,
) -> str:
    """Return the address of a file of a preset's rendition, such as "card@2x.avif", of a job's original.

    `gateway` is the address below which the API is. With the `secret` that signs the owner's tokens, anybody may fetch
    the image; without it, a request needs the API key. With the current `version` of the preset, caches keep the image
    for ever. The link `expires` at a time with a time zone, or never. Raises ValueError for a secret that is too short.
    """
    path = f"/image/{task_id}/{preset}/{file}"
    end = None if expires is None else int(expires.timestamp())
    parts = [f"{name}={value}" for name, value in (("exp", end), ("v", version)) if value is not None]
    if secret is not None:
        if len(secret) < MIN_SECRET_CHARACTERS:
            raise ValueError(f"the signing secret has less than {MIN_SECRET_CHARACTERS} characters")
        text = "?".join(filter(None, (path, "&".join(parts))))
        signature = hmac.digest(secret.encode(), text.encode(), "sha256")
        parts.append(f"sig={urlsafe_b64encode(signature).rstrip(b'=').decode()}")
    return "?".join(filter(None, (gateway.rstrip("/") + quote(path, safe="/@"), "&".join(parts))))
