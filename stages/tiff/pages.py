"""Which page of a TIFF is the picture: the first that is no thumbnail. A camera's raw file has none."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from stages.errors import StageError, UnsupportedFormat
from stages.tiff import directory as tag
from stages.tiff.directory import first_directory, read_directory

if TYPE_CHECKING:
    from stages.tiff.directory import Directory, Tags

_MAX_PAGES = 16  # files with a thumbnail have few pages
_REDUCED, _MASK = 1, 4  # bits of NewSubfileType: TIFF 6.0, section 8
_OLD_REDUCED = 2
_DESCRIBING = (tag.SUBFILE_TYPE, tag.OLD_SUBFILE_TYPE, tag.PHOTOMETRIC)  # tags that tell what a page is
_SENSOR_DATA = frozenset({32_803, 34_892})  # color filter array: TIFF/EP, 5.1.6; linear raw: DNG 1.4
_CR2 = b"\x10\0\0\0CR\2\0"  # in the header of Canon's raw files: the first directory lies behind it
_RAW_MESSAGE = "This is a camera's raw file, such as a DNG, NEF or CR2. Develop it and save it as a JPEG or a TIFF."


def find_page(original: bytes) -> tuple[int, Tags]:
    """Return where the directory of the picture lies, and its tags.

    Raises UnsupportedFormat for a raw file, and what `read_directory` raises for the first directory.
    """
    if original[4:12] == _CR2:
        raise UnsupportedFormat(_RAW_MESSAGE)
    start = first_directory(original)
    first = read_directory(original, start)
    others = (
        _read_others(original, start, first) if _is_reduced(first.tags) or tag.SUB_DIRECTORIES in first.tags else {}
    )
    photometrics = {page.get(tag.PHOTOMETRIC, (0,))[0] for page in (first.tags, *others.values())}
    if tag.DNG_VERSION in first.tags or photometrics & _SENSOR_DATA:
        raise UnsupportedFormat(_RAW_MESSAGE)
    if not _is_reduced(first.tags):
        return start, first.tags
    found = next((place for place, tags in others.items() if not _is_reduced(tags)), start)
    return found, read_directory(original, found).tags


def _is_reduced(tags: Tags) -> bool:
    return bool(tags.get(tag.SUBFILE_TYPE, (0,))[0] & (_REDUCED | _MASK)) or (
        tag.SUBFILE_TYPE not in tags and tags.get(tag.OLD_SUBFILE_TYPE) == (_OLD_REDUCED,)
    )


def _read_others(original: bytes, start: int, first: Directory) -> dict[int, Tags]:
    """Return what the pages after the first one are, and the directories below it, by where they lie.

    The places of their strips are left out: they need far more memory than the file.
    """
    found: dict[int, Tags] = {}
    place = first.next
    while place not in (0, start, *found) and len(found) < _MAX_PAGES:
        directory = _try_to_read(original, place)
        if directory is None:
            break
        found[place], place = _describe(directory.tags), directory.next
    for place in first.tags.get(tag.SUB_DIRECTORIES, ())[:_MAX_PAGES]:
        directory = _try_to_read(original, place)
        if directory is not None:
            found.setdefault(place, _describe(directory.tags))
    return found


def _describe(tags: Tags) -> Tags:
    return {number: tags[number][:2] for number in _DESCRIBING if number in tags}


def _try_to_read(original: bytes, place: int) -> Directory | None:
    try:
        return read_directory(original, place)
    except (OverflowError, StageError, struct.error):
        return None
