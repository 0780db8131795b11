"""Speaking tus to a gateway: an upload of a cat, from its creation to its job."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx

from tests.contract.http_helpers import JPEG

VERSION = {"Tus-Resumable": "1.0.0"}
BYTES = VERSION | {"Content-Type": "application/offset+octet-stream"}


def metadata(**fields: str) -> str:
    """Return an Upload-Metadata."""
    return ",".join(f"{name} {b64encode(value.encode()).decode()}" for name, value in fields.items())


async def create(
    http: httpx.AsyncClient, length: int = len(JPEG), headers: Mapping[str, str] | None = None, **fields: str
) -> httpx.Response:
    given = VERSION | {"Upload-Length": str(length)}
    if fields:
        given["Upload-Metadata"] = metadata(**fields)
    return await http.post("/files", headers=given | dict(headers or {}))


async def create_upload(http: httpx.AsyncClient, length: int = len(JPEG), **options: Any) -> str:
    """Create an upload and return its path."""
    answer = await create(http, length, **options)
    assert answer.status_code == 201, answer.text
    return answer.headers["location"]


async def patch(
    http: httpx.AsyncClient, path: str, content: bytes | AsyncIterator[bytes], offset: int, **headers: str
) -> httpx.Response:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return await http.patch(path, content=content, headers=BYTES | {"Upload-Offset": str(offset)} | given)


async def head(http: httpx.AsyncClient, path: str, **headers: str) -> httpx.Response:
    return await http.head(path, headers=VERSION | headers)


async def read_offset(http: httpx.AsyncClient, path: str) -> int:
    return int((await head(http, path)).headers["upload-offset"])
