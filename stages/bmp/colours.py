"""The ICC profile in a BMP: Microsoft's BITMAPV5HEADER. Its gamma and its primaries are ignored, as in browsers."""

from __future__ import annotations

import struct

_HEADER_START, _V5_BYTES = 14, 124
_EMBEDDED = b"DEBM"  # PROFILE_EMBEDDED, in little-endian order


def bmp_profile(content: bytes) -> bytes | None:
    """Return the profile that the header leads to, or None."""
    header = content[_HEADER_START : _HEADER_START + _V5_BYTES]
    if len(header) < _V5_BYTES or header[:4] != struct.pack("<I", _V5_BYTES) or header[56:60] != _EMBEDDED:
        return None
    start, length = struct.unpack_from("<II", header, 112)
    return content[_HEADER_START + start : _HEADER_START + start + length]
