"""How a rendition is presented: headers that the gateway sends with it, and that an object store keeps with it."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from urllib.parse import quote

MAX_LABEL = 150


def headers(*, label: str | None, rendition: str, format: str) -> dict[str, str]:  # noqa: A002  # the record's word
    """Return the headers of a rendition that hold wherever it is served; its bytes never change under its name."""
    return {
        "Cache-Control": "private, max-age=31536000, immutable",
        "Content-Disposition": _disposition(label, f"-{rendition}.{format}"),
    }


def _disposition(label: str | None, ending: str) -> str:
    """Name the file after its upload, plainly for old clients and in full for the others (RFC 6266, section 4.3)."""
    printable = "".join(character for character in label or "" if character.isprintable())
    stem = PurePosixPath(printable.replace("\\", "/")).stem[:MAX_LABEL] or "image"
    plain = re.sub(r"[^A-Za-z0-9 ._()-]", "_", stem)
    return f"inline; filename=\"{plain}{ending}\"; filename*=UTF-8''{quote(stem + ending, safe='')}"
