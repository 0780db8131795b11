"""Small files that state a large size, or have many parts."""

from __future__ import annotations

import random
import struct

from stages.colour.chromaticities import Chromaticities
from stages.colour.profiles import Curve, matrix_profile
from tests.support.images import animation, encode_image, photo


def gif(*frames: tuple[int, int, int, int], screen: tuple[int, int] = (2, 2), tail: bytes = b";") -> bytes:
    """Build a GIF whose frames lie at (left, top, width, height), each with the pixels of a single dot."""
    head = b"GIF89a" + struct.pack("<HHBBB", *screen, 0x80, 0, 0) + bytes(6)
    return head + b"".join(b"," + struct.pack("<4HB", *box, 0) + b"\x02\x02\x44\x01\0" for box in frames) + tail


def tiff(tags: dict[int, tuple[int, ...]], tail: bytes = bytes(64), *, big: bool = False) -> bytes:
    """Build a TIFF of one directory, every tag a LONG, with `tail` behind it."""
    head, entry, pointer, inline = (
        (struct.pack("<2sHHHQQ", b"II", 43, 8, 0, 16, len(tags)), "<HHQ", "<Q", 8)
        if big
        else (struct.pack("<2sHIH", b"II", 42, 8, len(tags)), "<HHI", "<I", 4)
    )
    away = len(head) + len(tags) * (struct.calcsize(entry) + inline) + inline
    directory, values = b"", b""
    for tag, numbers in sorted(tags.items()):
        packed = struct.pack(f"<{len(numbers)}I", *numbers)
        directory += struct.pack(entry, tag, 4, len(numbers))
        directory += packed.ljust(inline, b"\0") if len(packed) <= inline else struct.pack(pointer, away + len(values))
        values += packed if len(packed) > inline else b""
    return head + directory + bytes(inline) + values + tail


GREY_TIFF: dict[int, tuple[int, ...]] = {
    256: (8,),
    257: (8,),
    258: (8,),
    259: (1,),
    262: (1,),
    273: (122,),
    277: (1,),
    278: (8,),
    279: (64,),
}
TILED_TIFF: dict[int, tuple[int, ...]] = {
    256: (8,),
    257: (8,),
    258: (8,),
    259: (1,),
    262: (1,),
    277: (1,),
    322: (8,),
    323: (8,),
    324: (0,),
    325: (9,),
}


def jpeg(width: int, height: int, *, scans: int = 1, padding: int = 0, segments: int = 0) -> bytes:
    """Return a real JPEG with a false size, and with more scans or segments."""
    content = bytearray(encode_image(photo(16, 16), "jpeg", progressive=scans > 1))
    frame = content.index(b"\xff\xc2" if scans > 1 else b"\xff\xc0")
    content[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    first_scan = content.index(b"\xff\xda")
    scan = content[first_scan : content.find(b"\xff\xc4", first_scan)]
    content[first_scan:first_scan] = b"\xff\xfe\0\2" * segments + b"\0" * padding + scan * (scans - 1)
    return bytes(content)


def spread_segments(count: int) -> bytes:
    """Return a progressive JPEG with this many comments behind each of its scans but the last."""
    parts = encode_image(photo(16, 16), "jpeg", progressive=True).split(b"\xff\xc4")
    head, scans = parts[:-1], parts[-1:]
    comments = b"\xff\xfe\0\2" * count
    return b"\xff\xc4".join([part + comments * (b"\xff\xda" in part) for part in head] + scans)


def restarting_jpeg(markers: int) -> bytes:
    """Return a progressive JPEG with this many needless restart markers in its first scan."""
    content = encode_image(photo(16, 16), "jpeg", progressive=True, restart_marker_blocks=1)
    end = content.index(b"\xff\xc4", content.index(b"\xff\xda"))
    return content[:end] + b"\xff\xd0" * markers + content[end:]


def repeated_tag(count: int) -> bytes:
    """Return a TIFF that says this often where its strips lie, in the same 60,000 places."""
    strips = struct.pack("<HHII", 273, 4, 60_000, 8 + 2 + 12 * (count + 8) + 4)
    entries = [struct.pack("<HHII", tag, 4, 1, *values) for tag, values in GREY_TIFF.items() if tag != 273]
    directory = struct.pack("<H", count + 8) + b"".join(entries[:5]) + strips * count + b"".join(entries[5:])
    return b"II*\0\x08\0\0\0" + directory + bytes(4 + 4 * 60_000)


def sharing_pages(pages: int) -> bytes:
    """Return a TIFF of thumbnails, which all say of their samples and strips what lies in the same 240 KiB."""
    first, shared = 8, 60_000
    tags = (255, 258, 259, 262, 273, 277, 279, 284, 317, 322, 323, 324, 325, 332, 338, 339, 530)
    size = 2 + 12 * (len(GREY_TIFF) + 1) + 4
    later = 2 + 12 * (len(tags) + 1) + 4
    end = first + size + (pages - 1) * later
    thumbnail = struct.pack("<HHII", 254, 4, 1, 1)
    content = struct.pack("<2sHIH", b"II", 42, first, len(GREY_TIFF) + 1) + thumbnail
    content += b"".join(struct.pack("<HHII", tag, 4, 1, *values) for tag, values in GREY_TIFF.items())
    content += struct.pack("<I", first + size)
    for page in range(1, pages):
        content += struct.pack("<H", len(tags) + 1) + thumbnail
        content += b"".join(struct.pack("<HHII", tag, 4, shared, end) for tag in tags)
        content += struct.pack("<I", first + size + page * later if page < pages - 1 else 0)
    return content + random.Random(1).randbytes(4 * shared)  # noqa: S311  numbers that Python does not share


def resized(original: bytes, kind: bytes, size: tuple[int, int]) -> bytes:
    """Overwrite the size in every box of an AVIF that states one."""
    content, start = bytearray(original), 0
    while (start := content.find(kind, start)) >= 0:
        content[start + 8 : start + 16] = struct.pack(">II", *size)
        start += 16
    return bytes(content)


def described(original: bytes) -> bytes:
    """Return the box that describes the items of an AVIF."""
    start = original.index(b"meta") - 4
    return original[start : start + struct.unpack_from(">I", original, start)[0]]


def webp_canvas(width: int, height: int) -> bytes:
    content = bytearray(animation("webp"))
    content[24:30] = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return bytes(content)


def naming_items(place: bytes) -> bytes:
    """Return an AVIF that says of 60,000 items that each has no content: in the file's `meta` box, or in a track's."""
    content = encode_image(photo(), "avif")
    names = b"\0" * 6 + struct.pack(">H", 60_000) + b"".join(struct.pack(">3H", item, 0, 0) for item in range(60_000))
    names = struct.pack(">I4s", 8 + len(names), b"iloc") + names
    if place == b"meta":
        start, length = content.index(b"iloc") - 4, int.from_bytes(content[content.index(b"iloc") - 4 :][:4])
        meta = content.index(b"meta") - 4
        grown = int.from_bytes(content[meta : meta + 4]) + len(names) - length
        return content[:meta] + grown.to_bytes(4) + content[meta + 4 : start] + names + content[start + length :]
    for kind, head in ((b"meta", bytes(4)), (b"trak", b""), (b"moov", b"")):
        names = struct.pack(">I4s", 8 + len(head) + len(names), kind) + head + names
    return content + names


def profile_of_elements(count: int) -> bytes:
    """Return a profile of linear light with this many multi-process elements, all of them one that changes nothing."""
    linear = matrix_profile(Chromaticities((0.64, 0.33), (0.3, 0.6), (0.15, 0.06), (0.3127, 0.329)), Curve(1.0))
    (tags,) = struct.unpack_from(">I", linear, 128)
    content = bytearray(linear[:128] + struct.pack(">I", tags + 1) + linear[132 : 132 + 12 * tags])
    content += struct.pack(">4sII", b"D2B0", len(linear) + 12, 16 + 8 * count + 60) + linear[132 + 12 * tags :]
    for start in range(132, 132 + 12 * tags, 12):
        content[start + 4 : start + 8] = (int.from_bytes(content[start + 4 : start + 8]) + 12).to_bytes(4)
    matrix = b"matf" + struct.pack(">IHH12f", 0, 3, 3, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0)
    content += b"mpet" + struct.pack(">IHHI", 0, 3, 3, count) + struct.pack(">II", 16 + 8 * count, 60) * count + matrix
    content[:4] = len(content).to_bytes(4)
    return bytes(content)
