"""Inspection of an AVIF or HEIC: the sizes that its boxes state, and those of the AV1 streams inside."""

from __future__ import annotations

from collections.abc import Iterable

from stages.container_info import ContainerInfo, PartCounter, check_part_count
from stages.errors import ImageTruncated
from stages.heif.av1 import Av1Stream
from stages.heif.boxes import find_items, find_tracks, index_meta, index_track_metas, split_boxes, strip_trailer
from stages.heif.edit_list import read_plays
from stages.heif.items import MAX_DECODED, MAX_ITEMS, check_items, count_items
from stages.heif.repairs import repair_boxes
from stages.limits import Limits, check_dimensions, check_pixels


def inspect_heif(original: bytes, limits: Limits) -> ContainerInfo:
    """Check that an AVIF or HEIC has all its boxes, and the sizes that they state: ISO/IEC 14496-12, 4.2.

    The decoder of HEIC refuses a stream that is larger than the boxes state.
    """
    file = strip_trailer(memoryview(original))
    kinds = {kind for kind, _ in split_boxes(file)}
    if b"mdat" not in kinds and b"idat" not in original:
        raise ImageTruncated
    items = index_meta(file)
    check_part_count(count_items(items) + sum(map(count_items, index_track_metas(file))), "items", MAX_ITEMS)
    check_items(items, limits)
    return ContainerInfo(content=None if len(file) == len(original) else bytes(file))


def inspect_avif(original: bytes, limits: Limits) -> ContainerInfo:
    """Check the boxes as `inspect_heif` does, and the frames of each AV1 stream: they are decoded in their own size."""
    content = inspect_heif(original, limits).content
    file = memoryview(content or original)
    units = PartCounter("units")
    _check_streams(([item] for item in find_items(file, b"av01")), units, limits, limits.pixels)
    _check_streams(find_tracks(file, b"av01"), units, limits, max(limits.pixels, limits.animation_pixels))
    return ContainerInfo(frames=None, plays=read_plays(file), content=repair_boxes(file) or content)


def _check_streams(streams: Iterable[list[memoryview]], units: PartCounter, limits: Limits, shown_pixels: int) -> None:
    """Check each frame against the limits of an image, and all together against those of a whole file."""
    decoded = 0
    for samples in streams:
        stream = Av1Stream(units)
        for sample in samples:
            for width, height in stream.frame_sizes(sample):
                check_dimensions(width, height, limits)
                check_pixels(decoded := decoded + width * height, MAX_DECODED * shown_pixels)
