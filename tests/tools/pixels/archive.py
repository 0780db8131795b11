"""The files of a folder that somebody could upload as an image."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator
from pathlib import Path

from stages.formats import HEAD_BYTES, MEDIA_TYPES, sniff

_NOT_PIXELS = frozenset({"image/svg+xml"})
_TYPES = mimetypes.MimeTypes()  # the same on every machine
for _type, _suffixes in {
    "image/avif": ".avif",
    "image/bmp": ".bmp .dib",
    "image/heic": ".heic .heif",
    "image/jp2": ".jp2 .j2k .jpx",
    "image/jxl": ".jxl",
    "image/vnd.adobe.photoshop": ".psd",
    "image/webp": ".webp",
    "image/x-dcraw": ".arw .cr2 .cr3 .dng .nef .orf .raf .rw2",
}.items():
    for _suffix in _suffixes.split():
        _TYPES.add_type(_type, _suffix)


def list_files(paths: list[Path]) -> Iterator[Path]:
    """Yield the files, and those of the folders and their subfolders by name. Links to folders are not followed."""
    for path in paths:
        if path.is_dir():
            yield from sorted(found for found in path.rglob("*") if found.is_file())
        else:
            yield path


def find_format(file: Path) -> str:
    """Return the format by the first bytes, or else by the suffix; empty for files that are no images or unreadable.

    A format that is not accepted here is its suffix.
    """
    try:
        with file.open("rb") as content:
            head = content.read(HEAD_BYTES)
    except OSError:
        return ""
    if sniffed := sniff(head):
        return sniffed.format
    media_type = _TYPES.guess_type(file.name)[0] or ""
    if not head or not media_type.startswith("image/") or media_type in _NOT_PIXELS:
        return ""
    return next((name for name, known in MEDIA_TYPES.items() if known == media_type), file.suffix.lower())
