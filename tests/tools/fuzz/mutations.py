"""The mutations: each takes a file and the dice, and gives back a file that is wrong in one more way."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from random import Random

from tests.tools.fuzz.layouts import fix_checksums, grow_boxes, layout
from tests.tools.fuzz.seed_files import draw_seed_files
from tests.tools.fuzz.sizes import misstate_size

INTERESTING = (
    0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 63, 64, 100, 127, 128, 129, 199, 200, 201, 254, 255, 256, 257, 1000,
    4095, 4096, 9999, 16_383, 16_384, 16_385, 32_767, 32_768, 65_534, 65_535, 65_536, 2**24 - 1, 2**24, 2**31 - 1,
    2**31, 2**32 - 1, 2**63,
)  # fmt: skip
_HOW_MANY = (1, 1, 1, 1, 2, 2, 3, 5, 12)
_FIX_PROBABILITY = 0.8  # of the files get their checksums back, or the walk over a PNG would let hardly one pass
_UNTOUCHED = 0.02


def make_mutant(format: str, rng: Random) -> bytes:  # noqa: A002
    """Return a specimen of the format after one or several mutations; now and then one that has none."""
    content = rng.choice(draw_seed_files(format))
    if rng.random() < _UNTOUCHED:
        return content
    for _ in range(rng.choice(_HOW_MANY)):
        mutate = rng.choice(_MUTATIONS)
        content = mutate(content, format, rng) or content
    return fix_checksums(content, format) if rng.random() < _FIX_PROBABILITY else content


def _flip_bits(content: bytes, _format: str, rng: Random) -> bytes:
    result = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8, 30))):
        result[rng.randrange(len(result))] ^= 1 << rng.randrange(8)
    return bytes(result)


def _set_bytes(content: bytes, _format: str, rng: Random) -> bytes:
    result = bytearray(content)
    for _ in range(rng.choice((1, 2, 4, 16))):
        result[rng.randrange(len(result))] = rng.choice((0, 1, 127, 128, 254, 255, rng.randrange(256)))
    return bytes(result)


def _set_number(content: bytes, _format: str, rng: Random) -> bytes:
    letter, at = rng.choice("BHIQ"), rng.randrange(len(content))
    return _packed(content, at, rng.choice("<>") + letter, rng.choice(INTERESTING))


def _fill(content: bytes, _format: str, rng: Random) -> bytes:
    start, length = rng.randrange(len(content)), rng.choice((4, 16, 64, 512))
    fill = rng.choice((b"\0", b"\xff", b"\xaa")) * length if rng.random() < 0.7 else rng.randbytes(length)
    return content[:start] + fill[: len(content) - start] + content[start + length :]


def _truncate(content: bytes, _format: str, rng: Random) -> bytes:
    return content[: rng.randrange(1, len(content) + 1)]


def _append(content: bytes, _format: str, rng: Random) -> bytes:
    junk = rng.choice((bytes(1000), rng.randbytes(300), content, b"\xff" * 64))
    return content + junk


def _edit_field(content: bytes, format: str, rng: Random) -> bytes | None:  # noqa: A002
    fields = layout(content, format).fields
    if not fields:
        return None
    for _ in range(rng.choice((1, 1, 2, 4))):
        at, kind = rng.choice(fields)
        size = struct.calcsize(kind)
        if at + size <= len(content):
            (value,) = struct.unpack_from(kind, content, at)
            near = (value + 1, value - 1, value * 2, value // 2, value ^ 1 << rng.randrange(8 * size), len(content))
            content = _packed(content, at, kind, rng.choice(near + INTERESTING))
    return content


def _duplicate_part(content: bytes, format: str, rng: Random) -> bytes | None:  # noqa: A002
    parts = layout(content, format).parts
    if not parts:
        return None
    start, end = rng.choice(parts)
    copies = content[start:end] * rng.choice((1, 1, 1, 2, 9, 300))
    return _put(content, format, rng.choice((end, rng.choice(parts)[0])), copies)


def _remove_part(content: bytes, format: str, rng: Random) -> bytes | None:  # noqa: A002
    parts = layout(content, format).parts
    if not parts:
        return None
    start, end = rng.choice(parts)
    shrunk = grow_boxes(content, format, start, start - end)
    return shrunk[:start] + shrunk[end:]


def _insert_part(content: bytes, format: str, rng: Random) -> bytes | None:  # noqa: A002
    other, parts = rng.choice(draw_seed_files(format)), layout(content, format).parts
    theirs = layout(other, format).parts
    if not parts or not theirs:
        return None
    start, end = rng.choice(theirs)
    return _put(content, format, rng.choice(rng.choice(parts)), other[start:end])


def _swap_parts(content: bytes, format: str, rng: Random) -> bytes | None:  # noqa: A002
    parts = layout(content, format).parts
    if len(parts) < 2:
        return None
    (start, end), (later_start, later_end) = sorted(rng.sample(parts, 2))
    if later_start < end:  # one within the other
        return None
    first, between, second = content[start:end], content[end:later_start], content[later_start:later_end]
    return content[:start] + second + between + first + content[later_end:]


def _rename_part(content: bytes, format: str, rng: Random) -> bytes | None:  # noqa: A002
    other = rng.choice(draw_seed_files(format))
    kinds, theirs = layout(content, format).kinds, layout(other, format).kinds
    if not kinds or not theirs:
        return None
    (start, end), (their_start, their_end) = rng.choice(kinds), rng.choice(theirs)
    return content[:start] + other[their_start:their_end] + content[end:]


def _splice(content: bytes, format: str, rng: Random) -> bytes:  # noqa: A002
    other = rng.choice(draw_seed_files(format))
    ends, starts = layout(content, format).parts, layout(other, format).parts
    if ends and starts and rng.random() < 0.6:
        return content[: rng.choice(ends)[1]] + other[rng.choice(starts)[0] :]
    return content[: rng.randrange(len(content) + 1)] + other[rng.randrange(len(other)) :]


def _recompress(content: bytes, format: str, rng: Random) -> bytes | None:  # noqa: A002
    """Mutate what is inside a PNG's compressed pixels, as what is outside seldom gets past zlib."""
    pixels = [part for part in layout(content, format).parts if content[part[0] + 4 : part[0] + 8] == b"IDAT"]
    if format != "png" or not pixels:
        return None
    start, end = rng.choice(pixels)
    try:
        rows = zlib.decompress(content[start + 8 : end - 4])
    except zlib.error:
        return None
    packed = zlib.compress(rng.choice((_set_bytes, _truncate, _append))(rows or b"\0", format, rng))
    return content[:start] + struct.pack(">I", len(packed)) + b"IDAT" + packed + bytes(4) + content[end:]


def _put(content: bytes, format: str, at: int, part: bytes) -> bytes:  # noqa: A002
    grown = grow_boxes(content, format, at, len(part))
    return grown[:at] + part + grown[at:]


def _packed(content: bytes, at: int, kind: str, value: int) -> bytes:
    size = struct.calcsize(kind)
    if at + size > len(content):
        return content
    raw = (value % (1 << 8 * size)).to_bytes(size, "little" if kind[0] == "<" else "big")
    return content[:at] + raw + content[at + size :]


_MUTATIONS: tuple[Callable[[bytes, str, Random], bytes | None], ...] = (
    _flip_bits, _set_bytes, _set_number, _fill, _truncate, _append, _edit_field, _edit_field, _edit_field, _edit_field,
    _duplicate_part, _remove_part, _insert_part, _swap_parts, _rename_part, _splice, _recompress,
    misstate_size, misstate_size,
)  # fmt: skip
