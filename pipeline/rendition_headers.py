"""Headers of a rendition, which the gateway sends and an object store stores with it, and its file name."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from urllib.parse import quote

from storage.documents import OUTPUT, JobRecord

MAX_STEM_CHARACTERS = 150
MAX_STEM_BYTES = 200  # common file systems allow names of 255 bytes
EXTENSIONS = {"jpeg": "jpg"}


def headers(job: JobRecord, rendition: str, *, format: str) -> dict[str, str]:  # noqa: A002  # the record's word
    """Return the headers of a rendition, the same wherever it is served from. Its bytes never change under its name."""
    return {
        "Cache-Control": "private, max-age=31536000, immutable",
        "Content-Disposition": _disposition(filename(job, rendition, format=format)),
    }


def filename(job: JobRecord, rendition: str, *, format: str) -> str:  # noqa: A002  # the record's word
    """Return the file name of a rendition: photo-small.jpg, photo-crop.webp.

    It is the stem of the upload's name, or "image", then the rendition's name, or the operation's for its output. The
    name contains no path and no control characters, and has at most 255 bytes.
    """
    suffix = job.kind.value if rendition == OUTPUT else rendition
    return f"{_stem(job.original.name)}-{suffix}.{EXTENSIONS.get(format, format)}"


def _stem(upload_name: str | None) -> str:
    printable = "".join(character for character in upload_name or "" if character.isprintable())
    stem = PurePosixPath(printable.replace("\\", "/")).stem[:MAX_STEM_CHARACTERS]
    return stem.encode()[:MAX_STEM_BYTES].decode(errors="ignore") or "image"


def _disposition(name: str) -> str:
    """Return Content-Disposition, with the name in ASCII for old clients and in full (RFC 6266, section 4.3)."""
    ascii_name = re.sub(r"[^A-Za-z0-9 ._()-]", "_", name)
    return f"inline; filename=\"{ascii_name}\"; filename*=UTF-8''{quote(name, safe='')}"
