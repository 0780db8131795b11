"""Whether the metadata of an original state where it was taken: yes or no, never the place."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING

from stages.exif import ExifDirectories
from stages.png.metadata import PngMetadata

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

_EXIF_HEADER = b"Exif\0\0"
_EXTENDED_XMP, _EXTENDED_XMP_HEADER = b"http://ns.adobe.com/xmp/extension/\0", 75  # XMP, part 3, 1.1.3.1
_GPS_DIRECTORY = 34_853  # Exif 2.32, 4.6.3
_POSITION_TAGS = (2, 4, 20, 22)  # latitude and longitude, also of the destination: Exif 2.32, 4.6.6
# A property with a value, as an attribute or an element: XMP, part 1, 7.5 and 7.9.
_XMP_POSITION = re.compile(rb"GPS(?:Dest)?(?:Latitude|Longitude)\s*(?:=\s*[\"']\s*[^\"'\s]|>\s*[^<\s])")


def states_position(original: bytes, image: ImageFile, format: str) -> bool | None:  # noqa: A002  the API's own word
    """Tell whether the EXIF or the XMP of an opened original state a position; None if they cannot be read."""
    if format == "png":  # Pillow reads what lies before the pixels
        metadata = PngMetadata(original)
        answers = {*map(_is_in_exif, metadata.exif), *map(_is_in_xmp, metadata.xmp)}
    else:
        answers = {*map(_is_in_exif, _exif_blocks(original, image, format)), *map(_is_in_xmp, _xmp_packets(image))}
    return True if True in answers else None if None in answers else False


def _exif_blocks(original: bytes, image: ImageFile, format: str) -> Iterator[object]:  # noqa: A002
    if image.info.get("exif"):
        yield image.info["exif"]
    if format == "tiff":
        yield original  # its first directory is the one of an EXIF block


def _xmp_packets(image: ImageFile) -> Iterator[object]:
    if image.info.get("xmp"):
        yield image.info["xmp"]
    segments = [content for _, content in getattr(image, "applist", ()) if content.startswith(_EXTENDED_XMP)]
    if segments:
        yield b"".join(content[_EXTENDED_XMP_HEADER:] for content in segments)


def _is_in_xmp(packet: object) -> bool | None:
    if isinstance(packet, str):
        packet = packet.encode(errors="replace")
    if not isinstance(packet, bytes):
        return None
    if b"\0" in packet:  # UTF-16 or UTF-32: XMP, part 1, 7.1
        packet = packet.replace(b"\0", b"")
    return (b"Latitude" in packet or b"Longitude" in packet) and _XMP_POSITION.search(packet) is not None


def _is_in_exif(block: object) -> bool | None:
    if not isinstance(block, bytes):
        return None
    content = block.removeprefix(_EXIF_HEADER)
    try:
        return bool(content) and _has_position(ExifDirectories(content))
    except (KeyError, OverflowError, ValueError, struct.error):
        return None


def _has_position(directories: ExifDirectories) -> bool:
    """Tell whether the GPS directory has a position. A camera without reception writes none, or 0/0."""
    gps = directories.find(directories.first, _GPS_DIRECTORY).get(_GPS_DIRECTORY)
    if gps is None:
        return False
    (start,) = directories.read(gps, 1)
    return any(any(directories.read(entry, 3)[1::2]) for entry in directories.find(start, *_POSITION_TAGS).values())
