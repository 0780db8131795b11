"""How a rendition is presented: headers that the gateway sends with it, and that an object store keeps with it."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from urllib.parse import quote

from storage.documents import OUTPUT, JobRecord

MAX_STEM_CHARACTERS = 150
MAX_STEM_BYTES = 200  # common file systems take names of 255 bytes
EXTENSIONS = {"jpeg": "jpg"}


def headers(job: JobRecord, rendition: str, *, format: str) -> dict[str, str]:  # noqa: A002  # the record's word
    """Return the headers of a rendition that hold wherever it is served; its bytes never change under its name."""
    return {
        "Cache-Control": "private, max-age=31536000, immutable",
        "Content-Disposition": _disposition(filename(job, rendition, format=format)),
    }


def filename(job: JobRecord, rendition: str, *, format: str) -> str:  # noqa: A002  # the record's word
    """Return the name that a rendition is saved under: photo-small.jpg, photo-crop.webp.

    The stem is the upload's, or "image". An operation's one rendition is called by the operation. The name is never a
    path; it has no control characters and at most 255 bytes.
    """
    part = job.kind.value if rendition == OUTPUT else rendition
    return f"{_stem(job.original.name)}-{part}.{EXTENSIONS.get(format, format)}"


def _stem(label: str | None) -> str:
    printable = "".join(character for character in label or "" if character.isprintable())
    stem = PurePosixPath(printable.replace("\\", "/")).stem[:MAX_STEM_CHARACTERS]
    return stem.encode()[:MAX_STEM_BYTES].decode(errors="ignore") or "image"


def _disposition(name: str) -> str:
    """Give the name plainly for old clients and in full for the others (RFC 6266, section 4.3)."""
    plain = re.sub(r"[^A-Za-z0-9 ._()-]", "_", name)
    return f"inline; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
