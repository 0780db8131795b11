"""The sizes of a HEIF's items, and what is decoded to show each of them: ISO/IEC 23008-12, 6.4, 6.5.3 and 9.3."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from stages.container_info import PartCounter
from stages.errors import ImageCorrupt
from stages.heif.boxes import FULL, Numbers, index_boxes, read_item_types, split_boxes
from stages.limits import Limits, check_dimensions, check_pixels

MAX_ITEMS = 8192  # a photo in tiles has hundreds; libavif looks for each among all: 60,000 take it 6 seconds
MAX_DECODED = 4  # times the pixels that are shown: colour, alpha, a gain map, and frames that are never shown
_MAX_DEPTH = 8  # a picture with a gain map, each of them a grid of tiles, has 4 levels
_Links = dict[int, list[int]]


def check_items(boxes: dict[bytes, memoryview], limits: Limits) -> None:
    """Check the sizes that items state, and the pixels that are decoded for each, as often as it refers to them.

    `boxes` describe the items. Raises ImageTooLarge or ImageCorrupt, and as the functions of `stages.heif.boxes` do.
    """
    sizes = _read_sizes(boxes.get(b"iprp", memoryview(b"")), limits)
    tiles, attached = _read_references(boxes.get(b"iref", memoryview(b"")))
    pending = {*sizes, *tiles, *attached}
    decoded: dict[int, int] = {}
    for _ in range(_MAX_DEPTH):
        ready = {item for item in pending if pending.isdisjoint((*tiles.get(item, ()), *attached.get(item, ())))}
        for item in ready:
            made, more = (sum(decoded.get(other, 0) for other in links.get(item, ())) for links in (tiles, attached))
            decoded[item] = max(sizes.get(item, 0), made) + more
            check_pixels(decoded[item], MAX_DECODED * limits.pixels)
        pending -= ready
    if pending:  # items that lie too deep, or refer to each other in a circle
        raise ImageCorrupt


def count_items(boxes: dict[bytes, memoryview]) -> int:
    """Return how many items, or how often some, are named by that kind of the boxes that names the most."""
    nothing = memoryview(b"")
    locations, references = (boxes.get(kind, nothing) for kind in (b"iloc", b"iref"))
    associations = (payload for kind, payload in split_boxes(boxes.get(b"iprp", nothing)) if kind == b"ipma")
    id_bytes = 4 if any(references[:1]) else 2
    return max(
        sum(1 for _ in read_item_types(boxes.get(b"iinf", nothing))),
        _read_count(locations, FULL + 2, 4 if locations and locations[0] > 1 else 2),
        sum(_read_count(payload, FULL, 4) for payload in associations),
        sum(1 + _read_count(payload, id_bytes, 2) for _, payload in split_boxes(references[FULL:])),
    )


def _read_count(payload: memoryview, position: int, length: int) -> int:
    return int.from_bytes(payload[position : position + length])


def _read_sizes(properties: memoryview, limits: Limits) -> dict[int, int]:
    """Return the pixels that each item states. Raises as `check_dimensions` does, also for a size of no item."""
    stated = {}
    for index, (kind, payload) in enumerate(split_boxes(index_boxes(properties).get(b"ipco", properties[:0])), 1):
        if kind == b"ispe":  # what is decoded, even if only a small part of it is shown
            width, height = struct.unpack_from(">II", payload, FULL)
            check_dimensions(width, height, limits)
            stated[index] = width * height
    sizes: dict[int, int] = {}
    counter = PartCounter("properties")
    for kind, payload in split_boxes(properties):
        for item, index in read_associations(payload, counter) if kind == b"ipma" else ():
            if index in stated:
                sizes[item] = max(sizes.get(item, 0), stated[index])
    return sizes


def read_associations(payload: memoryview, counter: PartCounter) -> Iterator[tuple[int, int]]:
    """Yield an item and the index of a property of it, for each of its properties."""
    numbers = Numbers(payload)
    version, flags = numbers.read(1), numbers.read(3)
    id_bytes, index_bytes = 4 if version else 2, 2 if flags & 1 else 1
    for _ in range(numbers.read(4)):
        item = numbers.read(id_bytes)
        for _ in range(numbers.read(1)):
            counter.add()
            yield item, numbers.read(index_bytes) & (0x7FFF if flags & 1 else 0x7F)


def _read_references(payload: memoryview) -> tuple[_Links, _Links]:
    """Return what each item is made of, and what belongs to it: alpha or a gain map."""
    tiles: _Links = {}
    attached: _Links = {}
    counter = PartCounter("references")
    id_bytes = 4 if payload and payload[0] else 2
    for kind, reference in split_boxes(payload[FULL:]):
        if kind not in (b"dimg", b"auxl"):
            continue
        numbers = Numbers(reference)
        source, count = numbers.read(id_bytes), numbers.read(2)
        counter.add(count)
        targets = [numbers.read(id_bytes) for _ in range(count)]
        if kind == b"dimg":
            tiles.setdefault(source, []).extend(targets)
        for target in targets if kind == b"auxl" else ():
            attached.setdefault(target, []).append(source)
    return tiles, attached
