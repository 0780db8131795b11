"""How often an AVIF plays: the edit list of its pictures, repeated while their track lasts: ISO/IEC 14496-12."""

from __future__ import annotations

import struct
from contextlib import suppress

from stages.errors import StageError
from stages.heif.boxes import FULL, index_boxes, split_boxes

ENDLESS = 0
_REPEATED = 1  # a flag of the edit list
_MAX_PLAYS = 2**31  # more of them, browsers take for endless


def read_plays(file: memoryview) -> int:
    """Return how often the first track of pictures plays, as browsers count; ENDLESS if it does not say."""
    with suppress(StageError, LookupError, struct.error):
        for kind, payload in split_boxes(index_boxes(file)[b"moov"]):
            track = index_boxes(payload) if kind == b"trak" else {}
            if track and bytes(index_boxes(track[b"mdia"])[b"hdlr"][8:12]) == b"pict":
                return _read_plays(track[b"tkhd"], index_boxes(track[b"edts"])[b"elst"])
    return ENDLESS


def _read_plays(header: memoryview, edits: memoryview) -> int:
    if not edits[FULL - 1] & _REPEATED:
        return 1
    # Behind the times of creation and change, the id, and a reserved number.
    (total,) = struct.unpack_from(">Q" if header[0] else ">I", header, 28 if header[0] else 20)
    (once,) = struct.unpack_from(">Q" if edits[0] else ">I", edits, FULL + 4)
    if total == (2**64 if header[0] else 2**32) - 1 or not once:
        return ENDLESS
    plays = max(1, -(-total // once))
    return plays if plays <= _MAX_PLAYS else ENDLESS
