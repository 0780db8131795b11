"""The colour space that an AVIF or HEIC states outside of an ICC profile: ISO/IEC 14496-12, 12.1.5, and 23008-12."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress

from stages.colour.cicp import BT709_PRIMARIES, PRIMARIES, SRGB_TRANSFER, UNSPECIFIED, VIDEO_TRANSFERS, cicp_space
from stages.colour.hdr import DEFAULT_PEAK_NITS
from stages.colour.space import ColourSpace
from stages.container_info import PartCounter
from stages.errors import StageError
from stages.heif.av1 import read_colour_description
from stages.heif.boxes import FULL, find_items, find_tracks, index_meta, split_boxes
from stages.heif.items import read_associations

_SAMPLE_ENTRY = 78  # bytes of a visual sample entry before its boxes: 14496-12, 12.1.3
_TRACK_TABLES = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")


def heif_colour_space(content: bytes) -> ColourSpace | None:
    """Return what the picture that is shown states in its `colr` box, else in its AV1 stream; or None.

    The brightest pixel is read from its `clli` box. Damaged boxes state nothing.
    """
    file = memoryview(content)
    stated: tuple[int, int] | None = None
    peak_nits = DEFAULT_PEAK_NITS
    with suppress(StageError, IndexError, struct.error):
        is_sequence = content[8:12] == b"avis"
        for kind, payload in _sequence_boxes(file) if is_sequence else picture_boxes(file):
            if kind == b"colr" and bytes(payload[:4]) == b"nclx":
                stated = struct.unpack_from(">HH", payload, 4)
            if kind == b"clli":
                peak_nits = float(struct.unpack_from(">H", payload)[0]) or DEFAULT_PEAK_NITS
        if stated is None:
            stated = _stream_colours(file, is_sequence=is_sequence)
    return _as_browsers_do(*stated, peak_nits) if stated else None


def _as_browsers_do(primaries: int, transfer: int, peak_nits: float) -> ColourSpace | None:
    """Return the space, where unlike in a PNG an unknown gamut is BT.709, and a camera's curve is shown as sRGB's."""
    if primaries == transfer == UNSPECIFIED:
        return None
    if primaries not in PRIMARIES:
        primaries = BT709_PRIMARIES
    if transfer == UNSPECIFIED or transfer in VIDEO_TRANSFERS:
        transfer = SRGB_TRANSFER
    return cicp_space(primaries, transfer, peak_nits)


def picture_boxes(file: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Yield the properties of the primary item: 23008-12, 9.3."""
    meta = index_meta(file)
    primary = int.from_bytes(meta[b"pitm"][FULL:]) if b"pitm" in meta else 0
    boxes = list(split_boxes(meta.get(b"iprp", file[:0])))
    properties = [found for kind, payload in boxes if kind == b"ipco" for found in split_boxes(payload)]
    counter = PartCounter("properties")
    for kind, payload in boxes:
        for item, index in read_associations(payload, counter) if kind == b"ipma" else ():
            if item == primary and 0 < index <= len(properties):
                yield properties[index - 1]


def _sequence_boxes(file: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Yield the boxes that describe the samples of the first track, in each of its sample entries."""
    tables = [file]
    for nested in _TRACK_TABLES:
        tables = [payload for table in tables for kind, payload in split_boxes(table) if kind == nested][:1]
    for table in tables:
        for _, entry in split_boxes(table[FULL + 4 :]):
            yield from split_boxes(entry[_SAMPLE_ENTRY:])


def _stream_colours(file: memoryview, *, is_sequence: bool) -> tuple[int, int] | None:
    """Return what the first AV1 stream that describes its colours says: decoders rely on it without a `colr` box."""
    streams: Iterable[memoryview] = find_items(file, b"av01")
    if is_sequence:
        streams = (samples[0] for samples in find_tracks(file, b"av01") if samples)
    return next(filter(None, map(read_colour_description, streams)), None)
