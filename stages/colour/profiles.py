"""ICC profiles built in code, of primaries and a curve, or of a table of colours: ICC.1:2022, 7 to 10."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from itertools import chain
from typing import NamedTuple

from stages.colour.chromaticities import D50, Chromaticities, Vector, rgb_to_xyz, transpose

TABLE_POINTS = 33  # of a table along each axis
_VERSION = 0x04200000
_TAG_COUNT, _MAX_TAGS = 128, 100  # LittleCMS takes no profile with more tags
_S15FIXED16_MAX = 32_767.0
_XYZ_ONE, _WORD_MAX = 32_768, 65_535  # a table holds XYZ as u1.15: 6.3.4.2


class Curve(NamedTuple):
    """From a code value to linear light: (a * x + b) ** gamma, and c * x for an x below d: 10.18, type 3."""

    gamma: float
    a: float = 1.0
    b: float = 0.0
    c: float = 0.0
    d: float = 0.0


def matrix_profile(colours: Chromaticities, curve: Curve) -> bytes:
    """Return a profile of primaries and a curve. Raises ValueError if these numbers are no colours."""
    columns = transpose(rgb_to_xyz(colours, white=D50))
    tags = {kind: _xyz(column) for kind, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True)}
    if max(map(abs, curve)) > _S15FIXED16_MAX:
        raise ValueError
    response = b"para\0\0\0\0" + struct.pack(">Hxx", 3) + _fixed(curve)
    return _profile({**tags, **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), response)})


def table_profile(colours: Iterable[Vector]) -> bytes:
    """Return a profile that interpolates between XYZ colours relative to D50, for TABLE_POINTS values of each channel.

    The value of the last channel changes fastest.
    """
    words = [int(part * _XYZ_ONE + 0.5) if part > 0 else 0 for part in chain.from_iterable(colours)]
    identity = struct.pack(">2H", 0, _WORD_MAX) * 3
    head = b"mft2\0\0\0\0" + bytes((3, 3, TABLE_POINTS, 0)) + _fixed((1, 0, 0, 0, 1, 0, 0, 0, 1))  # 10.10
    lut = head + struct.pack(">HH", 2, 2) + identity + struct.pack(f">{len(words)}H", *words) + identity
    return _profile({b"A2B0": lut})


def hide_elements(profile: bytes) -> bytes:
    """Return an embedded profile without the tags D2B0 to D2B3, multi-process elements: ICC.1:2022, 9.2.25 to 9.2.28.

    Browsers ignore them. LittleCMS prefers them, and needs minutes for 60,000 elements, which have 480 KB.
    """
    content = bytearray(profile)
    (count,) = struct.unpack_from(">I", content.ljust(_TAG_COUNT + 4, b"\0"), _TAG_COUNT)
    for start in range(_TAG_COUNT + 4, _TAG_COUNT + 4 + 12 * min(count, _MAX_TAGS), 12):
        if content[start : start + 3] == b"D2B":
            content[start : start + 1] = b"x"
    return bytes(content)


def _profile(tags: dict[bytes, bytes]) -> bytes:
    """Lay out a display's profile from RGB to XYZ: 7.2 and 7.3."""
    tags = {b"wtpt": _xyz(D50), **tags}
    start = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for kind, value in tags.items():
        table += struct.pack(">4sII", kind, start + len(body), len(value))
        body += value
    head = struct.pack(">I4xI4s4s4s12x4s28x", start + len(body), _VERSION, b"mntr", b"RGB ", b"XYZ ", b"acsp")
    return head + _fixed(D50) + bytes(48) + table + body


def _xyz(value: Vector) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(value)


def _fixed(values: Vector) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * 65_536) for value in values))
