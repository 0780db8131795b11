"""The colour space that an inspected PNG states in its chunks: W3C PNG (Third Edition), 4.3 and 11.3.2."""

from __future__ import annotations

import struct
from contextlib import suppress
from itertools import takewhile

from stages.colour.chromaticities import Chromaticities
from stages.colour.cicp import BT709, cicp_space
from stages.colour.hdr import DEFAULT_PEAK_NITS
from stages.colour.profiles import Curve, matrix_profile
from stages.colour.space import SRGB, ColourSpace
from stages.png.chunks import IDAT, PLTE, walk_chunks

_LENGTHS = {b"cICP": 4, b"sRGB": 1, b"gAMA": 4, b"cHRM": 32, b"cLLI": 8, b"mDCV": 24}
_GAMMA_SCALE = _CHROMATICITY_SCALE = 100_000
_NITS_SCALE = 10_000
_SRGB_GAMMA, _TOLERANCE = 1 / 2.2, 0.05  # browsers and libpng take such a gAMA for sRGB's curve


def png_colour_space(content: bytes, profile: ColourSpace | None) -> ColourSpace | None:
    """Return what the PNG states, in the order cICP, the ICC profile in it, sRGB, gAMA with cHRM; or None."""
    chunks = _read_chunks(content)
    return _cicp(chunks) or profile or (SRGB if b"sRGB" in chunks else _gamma(chunks))


def _read_chunks(content: bytes) -> dict[bytes, bytes]:
    """Return the first chunk of each kind before the pixels; a cICP behind the palette is ignored."""
    found: dict[bytes, bytes] = {}
    has_palette = False
    for kind, start, end in takewhile(lambda chunk: chunk.kind != IDAT, walk_chunks(content)):
        has_palette |= kind == PLTE
        if end - start == _LENGTHS.get(kind) and not (kind == b"cICP" and has_palette):
            found.setdefault(kind, content[start:end])
    return found


def _cicp(chunks: dict[bytes, bytes]) -> ColourSpace | None:
    """Return the space of full-range RGB samples, the only ones that a PNG holds in practice: 11.3.2.6."""
    primaries, transfer, matrix, is_full_range = chunks.get(b"cICP", bytes(4))
    if matrix or is_full_range != 1:
        return None
    return cicp_space(primaries, transfer, _peak_nits(chunks))


def _peak_nits(chunks: dict[bytes, bytes]) -> float:
    """Return the brightest pixel's luminance, else that of the display it was mastered on: 11.3.2.7 and 11.3.2.8."""
    (brightest,) = struct.unpack_from(">I", chunks.get(b"cLLI", bytes(4)))
    (mastered,) = struct.unpack_from(">I", chunks.get(b"mDCV", bytes(20)), 16)
    return float(brightest or mastered) / _NITS_SCALE or DEFAULT_PEAK_NITS


def _gamma(chunks: dict[bytes, bytes]) -> ColourSpace | None:
    """Return the space of a gAMA, with BT.709's primaries if it is alone; a cHRM alone says nothing.

    If the two together are no colours, both are ignored, as browsers do.
    """
    (stored,) = struct.unpack(">I", chunks.get(b"gAMA", bytes(4)))
    if not stored:
        return None
    gamma = stored / _GAMMA_SCALE
    name = f"gamma {1 / gamma:.2f}"
    if b"cHRM" not in chunks:
        if abs(gamma / _SRGB_GAMMA - 1) < _TOLERANCE:
            return ColourSpace(SRGB.name, "gama")
        chromaticities = BT709
    else:
        values = [value / _CHROMATICITY_SCALE for value in struct.unpack(">8I", chunks[b"cHRM"])]
        white, red, green, blue = zip(values[::2], values[1::2], strict=True)
        chromaticities, name = Chromaticities(red, green, blue, white), f"{name} with primaries"
    with suppress(ValueError):
        return ColourSpace(name, "gama", matrix_profile(chromaticities, Curve(1 / gamma)))
    return None
