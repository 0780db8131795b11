"""The mutations: each takes a file and the dice, and gives back a file that is wrong in one more way."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from random import Random

from tests.fuzz.layouts import enlarged, layout, mended
from tests.fuzz.specimens import specimens

INTERESTING = (
    0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 63, 64, 100, 127, 128, 129, 199, 200, 201, 254, 255, 256, 257, 1000,
    4095, 4096, 9999, 16_383, 16_384, 16_385, 32_767, 32_768, 65_534, 65_535, 65_536, 2**24 - 1, 2**24, 2**31 - 1,
    2**31, 2**32 - 1, 2**63,
)  # fmt: skip
_HOW_MANY = (1, 1, 1, 1, 2, 2, 3, 5, 12)
_MEND = 0.8  # of the files get their checksums back, or the walk over a PNG would let hardly one pass
_UNTOUCHED = 0.02


def mutant(format: str, dice: Random) -> bytes:  # noqa: A002
    """Return a specimen of the format after one or several mutations; now and then one that has none."""
    content = dice.choice(specimens(format))
    if dice.random() < _UNTOUCHED:
        return content
    for _ in range(dice.choice(_HOW_MANY)):
        mutate = dice.choice(_MUTATIONS)
        content = mutate(content, format, dice) or content
    return mended(content, format) if dice.random() < _MEND else content


def _flip_bits(content: bytes, _format: str, dice: Random) -> bytes:
    result = bytearray(content)
    for _ in range(dice.choice((1, 1, 2, 8, 30))):
        result[dice.randrange(len(result))] ^= 1 << dice.randrange(8)
    return bytes(result)


def _set_bytes(content: bytes, _format: str, dice: Random) -> bytes:
    result = bytearray(content)
    for _ in range(dice.choice((1, 2, 4, 16))):
        result[dice.randrange(len(result))] = dice.choice((0, 1, 127, 128, 254, 255, dice.randrange(256)))
    return bytes(result)


def _set_number(content: bytes, _format: str, dice: Random) -> bytes:
    letter, at = dice.choice("BHIQ"), dice.randrange(len(content))
    return _packed(content, at, dice.choice("<>") + letter, dice.choice(INTERESTING))


def _fill(content: bytes, _format: str, dice: Random) -> bytes:
    start, length = dice.randrange(len(content)), dice.choice((4, 16, 64, 512))
    fill = dice.choice((b"\0", b"\xff", b"\xaa")) * length if dice.random() < 0.7 else dice.randbytes(length)
    return content[:start] + fill[: len(content) - start] + content[start + length :]


def _truncate(content: bytes, _format: str, dice: Random) -> bytes:
    return content[: dice.randrange(1, len(content) + 1)]


def _append(content: bytes, _format: str, dice: Random) -> bytes:
    junk = dice.choice((bytes(1000), dice.randbytes(300), content, b"\xff" * 64))
    return content + junk


def _edit_field(content: bytes, format: str, dice: Random) -> bytes | None:  # noqa: A002
    fields = layout(content, format).fields
    if not fields:
        return None
    for _ in range(dice.choice((1, 1, 2, 4))):
        at, kind = dice.choice(fields)
        size = struct.calcsize(kind)
        if at + size <= len(content):
            (value,) = struct.unpack_from(kind, content, at)
            near = (value + 1, value - 1, value * 2, value // 2, value ^ 1 << dice.randrange(8 * size), len(content))
            content = _packed(content, at, kind, dice.choice(near + INTERESTING))
    return content


def _duplicate_part(content: bytes, format: str, dice: Random) -> bytes | None:  # noqa: A002
    parts = layout(content, format).parts
    if not parts:
        return None
    start, end = dice.choice(parts)
    copies = content[start:end] * dice.choice((1, 1, 1, 2, 9, 300))
    return _put(content, format, dice.choice((end, dice.choice(parts)[0])), copies)


def _remove_part(content: bytes, format: str, dice: Random) -> bytes | None:  # noqa: A002
    parts = layout(content, format).parts
    if not parts:
        return None
    start, end = dice.choice(parts)
    shrunk = enlarged(content, format, start, start - end)
    return shrunk[:start] + shrunk[end:]


def _insert_part(content: bytes, format: str, dice: Random) -> bytes | None:  # noqa: A002
    other, parts = dice.choice(specimens(format)), layout(content, format).parts
    theirs = layout(other, format).parts
    if not parts or not theirs:
        return None
    start, end = dice.choice(theirs)
    return _put(content, format, dice.choice(dice.choice(parts)), other[start:end])


def _swap_parts(content: bytes, format: str, dice: Random) -> bytes | None:  # noqa: A002
    parts = layout(content, format).parts
    if len(parts) < 2:
        return None
    (start, end), (later_start, later_end) = sorted(dice.sample(parts, 2))
    if later_start < end:  # one within the other
        return None
    first, between, second = content[start:end], content[end:later_start], content[later_start:later_end]
    return content[:start] + second + between + first + content[later_end:]


def _rename_part(content: bytes, format: str, dice: Random) -> bytes | None:  # noqa: A002
    other = dice.choice(specimens(format))
    kinds, theirs = layout(content, format).kinds, layout(other, format).kinds
    if not kinds or not theirs:
        return None
    (start, end), (their_start, their_end) = dice.choice(kinds), dice.choice(theirs)
    return content[:start] + other[their_start:their_end] + content[end:]


def _splice(content: bytes, format: str, dice: Random) -> bytes:  # noqa: A002
    other = dice.choice(specimens(format))
    ends, starts = layout(content, format).parts, layout(other, format).parts
    if ends and starts and dice.random() < 0.6:
        return content[: dice.choice(ends)[1]] + other[dice.choice(starts)[0] :]
    return content[: dice.randrange(len(content) + 1)] + other[dice.randrange(len(other)) :]


def _recompress(content: bytes, format: str, dice: Random) -> bytes | None:  # noqa: A002
    """Mutate what is inside a PNG's compressed pixels, as what is outside seldom gets past zlib."""
    pixels = [part for part in layout(content, format).parts if content[part[0] + 4 : part[0] + 8] == b"IDAT"]
    if format != "png" or not pixels:
        return None
    start, end = dice.choice(pixels)
    try:
        rows = zlib.decompress(content[start + 8 : end - 4])
    except zlib.error:
        return None
    packed = zlib.compress(dice.choice((_set_bytes, _truncate, _append))(rows or b"\0", format, dice))
    return content[:start] + struct.pack(">I", len(packed)) + b"IDAT" + packed + bytes(4) + content[end:]


def _put(content: bytes, format: str, at: int, part: bytes) -> bytes:  # noqa: A002
    grown = enlarged(content, format, at, len(part))
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
)  # fmt: skip
