"""Inspection of a TIFF: which page is the picture, whether it is decoded right, and whether all of it is there."""

from __future__ import annotations

from stages.container_info import ContainerInfo
from stages.errors import ImageCorrupt, ImageTruncated
from stages.limits import Limits, check_dimensions
from stages.tiff import directory as tag
from stages.tiff.directory import Tags, first_directory, start_with_directory
from stages.tiff.layout import RAW, YCBCR, read_layout
from stages.tiff.pages import find_page
from stages.tiff.support import check_layout


def inspect_tiff(original: bytes, limits: Limits) -> ContainerInfo:
    """Refuse too many strips, tiles over the limits, unsupported samples, or pixels beyond the end of the file.

    Raises struct.error if the directory itself lies beyond the end.
    """
    page, tags = find_page(original)
    check_dimensions(_required_value(tags, tag.WIDTH), _required_value(tags, tag.HEIGHT), limits)
    if tag.TILE_WIDTH in tags or tag.TILE_HEIGHT in tags:  # the codec needs only one of them
        check_dimensions(_required_value(tags, tag.TILE_WIDTH), _required_value(tags, tag.TILE_HEIGHT), limits)
    check_layout(tags)
    for offsets, lengths in ((tag.STRIP_OFFSETS, _strip_bytes(tags)), (tag.TILE_OFFSETS, tags.get(tag.TILE_BYTES, ()))):
        ends = map(sum, zip(tags.get(offsets, ()), lengths, strict=False))
        if max(ends, default=0) > len(original):
            raise ImageTruncated
    return ContainerInfo(content=None if page == first_directory(original) else start_with_directory(original, page))


def _strip_bytes(tags: Tags) -> tuple[int, ...]:
    """Return the bytes of the strips. One that holds all pixels as they are needs no more than these, as in libtiff."""
    layout, stated = read_layout(tags), tags.get(tag.STRIP_BYTES, ())
    if len(stated) != 1 or layout.compression != RAW or layout.has_planes or layout.photometric == YCBCR:
        return stated
    row_bytes = (tags[tag.WIDTH][0] * sum(layout.bits) + 7) // 8
    return (min(stated[0], tags[tag.HEIGHT][0] * row_bytes),)


def _required_value(tags: Tags, number: int) -> int:
    if number not in tags:
        message = f"The image is damaged: its TIFF directory lacks tag {number}."
        raise ImageCorrupt(message)
    return tags[number][0]
