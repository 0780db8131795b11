"""Headers of a rendition, which an object store stores with it, and its file name."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from urllib.parse import quote

from storage.documents import OUTPUT, JobRecord

MAX_STEM_CHARACTERS = 150
MAX_STEM_BYTES = 200  # common file systems allow names of 255 bytes
EXTENSIONS = {"jpeg": "jpg"}
FOR_EVER = "private, max-age=31536000, immutable"


def headers(
    job: JobRecord,
    rendition: str,
    *,
    format: str,  # noqa: A002  # the record's word
    dpr: float = 1,
) -> dict[str, str]:
    """Return the headers of a file of a rendition, for an object store: the bytes of a blob never change."""
    return {
        "Cache-Control": FOR_EVER,
        "Content-Disposition": _disposition(filename(job, rendition, format=format, dpr=dpr)),
    }


def filename(
    job: JobRecord,
    rendition: str,
    *,
    format: str,  # noqa: A002  # the record's word
    dpr: float = 1,
) -> str:
    """Return the name of a file of a rendition: photo-small.jpg, photo-crop.webp, photo-card@2x.avif.

    It is the stem of the upload's name, or "image", then the rendition's name, or the operation's for its output. The
    name contains no path and no control characters, and has at most 255 bytes.
    """
    name = job.kind.value if rendition == OUTPUT else rendition
    return f"{stem_of(job.original.name)}-{name}{suffix_of(dpr)}.{extension_of(format)}"


def suffix_of(dpr: float) -> str:
    """Return how a density is written in a name: `@2x`, `@1.5x`, and nothing for 1."""
    return "" if dpr == 1 else f"@{dpr:g}x"


def extension_of(format: str) -> str:  # noqa: A002  # the record's word
    """Return the usual extension of a format, without a dot."""
    return EXTENSIONS.get(format, format)


def stem_of(upload_name: str | None) -> str:
    """Return the stem of the upload's name, or "image": no path, and nothing that cannot be printed."""
    printable = "".join(character for character in upload_name or "" if character.isprintable())
    stem = PurePosixPath(printable.replace("\\", "/")).stem[:MAX_STEM_CHARACTERS]
    return stem.encode()[:MAX_STEM_BYTES].decode(errors="ignore") or "image"


def _disposition(name: str) -> str:
    """Return Content-Disposition, with the name in ASCII for old clients and in full (RFC 6266, section 4.3)."""
    ascii_name = re.sub(r"[^A-Za-z0-9 ._()@-]", "_", name)
    return f"inline; filename=\"{ascii_name}\"; filename*=UTF-8''{quote(name, safe='')}"
