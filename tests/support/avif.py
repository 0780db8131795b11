"""AVIF files put together box by box, so that what they state of themselves and what is in them can differ."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cache

from PIL import Image

from tests.support.images import encode_image

_SEQUENCE_HEADER = b"\x0a"  # an AV1 unit with a length: AV1 Bitstream Specification, 5.3.2
_REPEATED_HEADER = b"\x3a"
_BEFORE_SIZE = 10  # bits of a still picture's sequence header: profile, two flags and the level


@dataclass(frozen=True, slots=True)
class Item:
    """One coded picture: its stream, the configuration box that belongs to it, and the size that the file states.

    `properties` are more boxes that belong to it.
    """

    stream: bytes
    configuration: bytes
    size: tuple[int, int]
    properties: tuple[bytes, ...] = ()


@cache
def coded(size: tuple[int, int], colour: tuple[int, int, int] = (90, 80, 70)) -> Item:
    """Return a picture of one colour, coded as AV1."""
    content = encode_image(Image.new("RGB", size, colour), "avif", speed=10)
    stream, configuration = (content.index(kind) for kind in (b"mdat", b"av1C"))
    length = struct.unpack_from(">I", content, configuration - 4)[0]
    return Item(content[stream + 4 :], content[configuration - 4 : configuration - 4 + length], size)


def restate_stream(stream: bytes, size: tuple[int, int]) -> bytes:
    """Return a still picture's stream whose sequence header states another size; its frame stays as it is."""
    start = stream.index(_SEQUENCE_HEADER)
    length = stream[start + 1]
    header = f"{int.from_bytes(stream[start + 2 : start + 2 + length]):0{8 * length}b}"
    bits = [int(header[at : at + 4], 2) + 1 for at in (_BEFORE_SIZE, _BEFORE_SIZE + 4)]
    rest = header[_BEFORE_SIZE + 8 + sum(bits) :]
    restated = f"{header[:_BEFORE_SIZE]}{15:04b}{15:04b}{size[0] - 1:016b}{size[1] - 1:016b}{rest}"
    restated += "0" * (-len(restated) % 8)
    payload = int(restated, 2).to_bytes(len(restated) // 8)
    return stream[:start] + _SEQUENCE_HEADER + bytes([len(payload)]) + payload + stream[start + 2 + length :]


def repeat_header(stream: bytes) -> bytes:
    """Return a still picture's stream whose frame is a repeated header, of which none came before."""
    start = stream.index(_SEQUENCE_HEADER)
    frame = start + 2 + stream[start + 1]
    return stream[:frame] + _REPEATED_HEADER + stream[frame + 1 :]


def nclx(primaries: int, transfer: int) -> bytes:
    """Return a `colr` box of these code points, with the matrix of BT.601 and the full range."""
    return _box(b"colr", struct.pack(">4sHHHB", b"nclx", primaries, transfer, 6, 0x80))


def light_level(nits: int) -> bytes:
    """Return a `clli` box that states the luminance of the brightest pixel."""
    return _box(b"clli", struct.pack(">HH", nits, 0))


def gain_mapped(base: Item, gain: Item, alternate: tuple[int, int], *, coding: bytes = b"av01") -> bytes:
    """Return a file that shows `base`, or with a gain map a picture of other code points: ISO 21496-1, annex C."""
    fractions = (0, 1, 3, 1, 0, 1, 3, 1, 1, 1, 1, 64, 1, 64)  # headrooms, then the range, gamma and offsets of the map
    metadata = struct.pack(">BHHB14I", 0, 0, 0, 0x40, *fractions)
    size = _full(b"ispe", struct.pack(">II", *base.size))
    properties = [[size, base.configuration, *base.properties], [size, gain.configuration], [size, nclx(*alternate)]]
    links = _full(b"iref", _box(b"dimg", struct.pack(">HHHH", 3, 2, 1, 2)))
    links += _box(b"grpl", _full(b"altr", struct.pack(">4I", 4, 2, 3, 1)))
    return _file(coding, [coding, coding, b"tmap"], [base.stream, gain.stream, metadata], properties, links)


def avif(
    *items: Item, grid: tuple[int, int, int, int] | None = None, repeats: int = 1, coding: bytes = b"av01"
) -> bytes:
    """Return a file of these items: an AVIF, or a HEIC if their coding is `hvc1`.

    The first is shown; with a `grid` of columns, rows and a size, all as its tiles, each of them `repeats` times.
    """
    kinds, contents = [coding] * len(items), [item.stream for item in items]
    properties = [
        [_full(b"ispe", struct.pack(">II", *item.size)), item.configuration, *item.properties] for item in items
    ]
    references = b""
    if grid:
        columns, rows, *size = grid
        kinds, contents = [b"grid", *kinds], [struct.pack(">4B2H", 0, 0, rows - 1, columns - 1, *size), *contents]
        properties = [[_full(b"ispe", struct.pack(">II", *size))], *properties]
        tiles = [*range(2, 2 + len(items))] * repeats
        references = _full(b"iref", _box(b"dimg", struct.pack(f">HH{len(tiles)}H", 1, len(tiles), *tiles)))
    return _file(coding, kinds, contents, properties, references)


def _file(
    coding: bytes, kinds: list[bytes], contents: list[bytes], properties: list[list[bytes]], references: bytes
) -> bytes:
    head = _box(b"ftyp", b"avif\0\0\0\0avifmif1miaf" if coding == b"av01" else b"heic\0\0\0\0heicmif1")
    start = len(head) + len(_meta(kinds, contents, properties, references, 0)) + 8
    return head + _meta(kinds, contents, properties, references, start) + _box(b"mdat", *contents)


def separate_associations(content: bytes) -> bytes:
    """Return an AVIF of Pillow with a box of associations for each item, as older encoders wrote it."""
    start = content.index(b"ipma") - 4
    (length,), (count,) = (struct.unpack_from(">I", content, start + offset) for offset in (0, 12))
    boxes, position = b"", start + 16
    for _ in range(count):
        end = position + 3 + content[position + 2]
        boxes += _full(b"ipma", struct.pack(">I", 1), content[position:end])
        position = end
    grown = len(boxes) - length
    result = bytearray(content[:start] + boxes + content[start + length :])
    for place in (content.index(b"meta") - 4, content.index(b"iprp") - 4, *_offset_places(content)):
        struct.pack_into(">I", result, place, struct.unpack_from(">I", content, place)[0] + grown)
    return bytes(result)


def resize_item(content: bytes, number: int, length: int) -> bytes:
    """Return an AVIF of Pillow that states another length of an item."""
    place = _offset_places(content)[number - 1] + 4
    return content[:place] + struct.pack(">I", length) + content[place + 4 :]


def overwrite_item(content: bytes, number: int, start: bytes) -> bytes:
    """Return an AVIF of Pillow with another start of an item."""
    (place,) = struct.unpack_from(">I", content, _offset_places(content)[number - 1])
    return content[:place] + start + content[place + len(start) :]


def restate_colours(content: bytes, *colours: int, in_stream: bool = False) -> bytes:
    """Return an AVIF of Pillow that states other primaries, another transfer and, if it is given, another matrix.

    Each `colr` box states them, or `in_stream` the AV1 stream alone: ISO/IEC 14496-12, 12.1.5.
    """
    before, *boxes = content.split(b"colrnclx")
    if not in_stream:
        stated = struct.pack(f">{len(colours)}H", *colours)
        return b"colrnclx".join([before, *(stated + box[len(stated) :] for box in boxes)])
    old = bytes(struct.unpack_from(">3H", boxes[0]))
    new = bytes(colours) + old[len(colours) :]
    start = struct.unpack_from(">I", content, _offset_places(content)[0])[0]
    bits = f"{int.from_bytes(content[start : start + 32]):0256b}"
    bits = bits.replace(f"{int.from_bytes(old):024b}", f"{int.from_bytes(new):024b}", 1)
    content = content[:start] + int(bits, 2).to_bytes(32) + content[start + 32 :]
    return content.replace(b"colrnclx", b"freenclx")


def restate_duration(content: bytes, repeats: float | None, *, is_repeated: bool = True) -> bytes:
    """Return an animation of Pillow whose track lasts as long as that many repeats, or without an end."""
    header, edits = (content.index(kind) + 4 for kind in (b"tkhd", b"elst"))
    (once,) = struct.unpack_from(">Q", content, edits + 8)
    result = bytearray(content)
    struct.pack_into(">Q", result, header + 28, 2**64 - 1 if repeats is None else round(once * repeats))
    result[edits + 3] = is_repeated
    return bytes(result)


def _offset_places(content: bytes) -> list[int]:
    """Return where an AVIF of Pillow states the offset of each item; the length comes behind it."""
    start = content.index(b"iloc") + 8
    (count,) = struct.unpack_from(">H", content, start + 2)
    return [start + 4 + 14 * item + 6 for item in range(count)]


def sequence(stream: bytes, *, tracks: int = 1, other_entries: bytes = b"") -> bytes:
    """Return what there is of a sequence to find its frames: tracks of one sample each, the same in each of them."""
    entries = other_entries + _box(b"av01", bytes(78))
    head = _box(b"ftyp", b"avis\0\0\0\0avisavifmif1")
    start = len(head) + len(_movie(tracks, entries, 0, len(stream))) + 8
    return head + _movie(tracks, entries, start, len(stream)) + _box(b"mdat", stream)


def _movie(tracks: int, entries: bytes, start: int, length: int) -> bytes:
    samples = _box(
        b"stbl",
        _full(b"stsd", struct.pack(">I", 1), entries),
        _full(b"stsz", struct.pack(">II", length, 1)),
        _full(b"stsc", struct.pack(">4I", 1, 1, 1, 1)),
        _full(b"stco", struct.pack(">II", 1, start)),
    )
    return _box(b"moov", _box(b"trak", _box(b"mdia", _box(b"minf", samples))) * tracks)


def _meta(
    kinds: list[bytes], contents: list[bytes], properties: list[list[bytes]], references: bytes, start: int
) -> bytes:
    """Return the box that says which items there are, where they lie and how large they are: ISO/IEC 23008-12."""
    distinct = list(dict.fromkeys(box for boxes in properties for box in (*boxes, _CHANNELS)))
    locations, associations, infos = b"", b"", b""
    for number, (kind, content, boxes) in enumerate(zip(kinds, contents, properties, strict=True), 1):
        locations += struct.pack(">HHHII", number, 0, 1, start, len(content))
        start += len(content)
        infos += _full(b"infe", struct.pack(">HH4sx", number, 0, kind), version=2)
        used = bytes(distinct.index(box) + 1 for box in (*boxes, _CHANNELS))
        associations += struct.pack(">HB", number, len(used)) + used
    count = struct.pack(">H", len(kinds))
    return _full(
        b"meta",
        _full(b"hdlr", b"\0\0\0\0pict" + bytes(13)),
        _full(b"pitm", struct.pack(">H", 1)),
        _full(b"iloc", b"\x44\0", count, locations),
        _full(b"iinf", count, infos),
        references,
        _box(b"iprp", _box(b"ipco", *distinct), _full(b"ipma", struct.pack(">I", len(kinds)), associations)),
    )


def _box(kind: bytes, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return struct.pack(">I4s", 8 + len(content), kind) + content


def _full(kind: bytes, *parts: bytes, version: int = 0) -> bytes:
    return _box(kind, bytes([version, 0, 0, 0]), *parts)


_CHANNELS = _full(b"pixi", b"\3\x08\x08\x08")
