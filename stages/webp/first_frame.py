"""The first frame of an animated WebP: https://developers.google.com/speed/webp/docs/riff_container."""

from __future__ import annotations

import struct

_RIFF = 12  # bytes of the file's header
_CANVAS = slice(24, 30)  # where VP8X has the width and the height of the canvas
_PLACE, _SIZE = slice(0, 6), slice(6, 12)  # of a frame
_FRAME_HEAD, _CHUNK_HEAD, _VP8L_HEAD = 16, 8, 5  # bytes
_MAX_CHUNKS = 16  # before the first frame: VP8X, ICCP, ANIM and a few unknown ones
_HAS_ALPHA = 1 << 28  # of the numbers behind the signature of a VP8L: WebP Lossless Bitstream, 3.4


def is_first_frame_opaque(original: bytes) -> bool:
    """Tell whether the first frame of an animation covers its canvas and states no alpha. False for what is damaged."""
    start = _find_first_frame(original)
    if start is None:
        return False
    frame = original[start : start + _FRAME_HEAD + _CHUNK_HEAD + _VP8L_HEAD]
    is_whole = frame[_PLACE] == bytes(6) and frame[_SIZE] == original[_CANVAS]
    kind, pixels = frame[_FRAME_HEAD:][:4], frame[_FRAME_HEAD + _CHUNK_HEAD :]
    if kind == b"VP8L" and len(pixels) == _VP8L_HEAD:
        return is_whole and not struct.unpack_from("<I", pixels, 1)[0] & _HAS_ALPHA
    return is_whole and kind == b"VP8 "


def _find_first_frame(original: bytes) -> int | None:
    at = _RIFF
    for _ in range(_MAX_CHUNKS):
        kind, length = original[at : at + 4], int.from_bytes(original[at + 4 : at + _CHUNK_HEAD], "little")
        if kind == b"ANMF":
            return at + _CHUNK_HEAD
        at += _CHUNK_HEAD + length + length % 2
    return None
