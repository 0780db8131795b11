"""Colour spaces by their code points (CICP): ITU-T H.273, tables 2 and 3, which are those of ISO/IEC 23091-2."""

from __future__ import annotations

from functools import lru_cache

from stages.colour.chromaticities import Chromaticities
from stages.colour.hdr import BT2020, DEFAULT_PEAK_NITS, HLG, PQ, HdrSignal
from stages.colour.profiles import Curve, matrix_profile
from stages.colour.space import SRGB, ColourSpace

BT709_PRIMARIES, SRGB_TRANSFER, UNSPECIFIED = 1, 13, 2
VIDEO_TRANSFERS = frozenset((1, 6, 11, 14, 15))  # cameras' curves, of BT.709, BT.601, xvYCC and BT.2020
_D65, _C = (0.3127, 0.3290), (0.310, 0.316)
BT709 = Chromaticities((0.64, 0.33), (0.30, 0.60), (0.15, 0.06), _D65)
_SMPTE_170M = Chromaticities((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65)
PRIMARIES = {
    BT709_PRIMARIES: ("BT.709", BT709),
    4: ("BT.470M", Chromaticities((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), _C)),
    5: ("BT.601 625", Chromaticities((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), _D65)),
    6: ("BT.601 525", _SMPTE_170M),
    7: ("SMPTE 240M", _SMPTE_170M),
    8: ("Film", Chromaticities((0.681, 0.319), (0.243, 0.692), (0.145, 0.049), _C)),
    9: ("BT.2020", BT2020),
    10: ("XYZ", Chromaticities((1.0, 0.0), (0.0, 1.0), (0.0, 0.0), (1 / 3, 1 / 3))),
    11: ("DCI-P3", Chromaticities((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.314, 0.351))),
    12: ("Display P3", Chromaticities((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65)),
    22: ("EBU 3213", Chromaticities((0.630, 0.340), (0.295, 0.605), (0.155, 0.077), _D65)),
}
_CURVES = {
    4: (" gamma 2.2", Curve(2.2)),
    5: (" gamma 2.8", Curve(2.8)),
    7: (" SMPTE 240M", Curve(1 / 0.45, 1 / 1.1115, 0.1115 / 1.1115, 1 / 4, 0.0913)),
    8: (" linear", Curve(1.0)),
    SRGB_TRANSFER: ("", Curve(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)),
    17: (" SMPTE 428", Curve(2.6, (52.37 / 48) ** (1 / 2.6))),
    **dict.fromkeys(VIDEO_TRANSFERS, ("", Curve(2.4))),  # how displays show what cameras encode: BT.1886
}


@lru_cache(maxsize=64)
def cicp_space(primaries: int, transfer: int, peak_nits: float = DEFAULT_PEAK_NITS) -> ColourSpace | None:
    """Return the space of two code points, or None if one of them is reserved or unspecified.

    `peak_nits` is the luminance of the brightest pixel in cd/m2, for PQ and HLG.
    """
    if primaries not in PRIMARIES:
        return None
    name, chromaticities = PRIMARIES[primaries]
    if transfer in (PQ, HLG):
        suffix = " PQ" if transfer == PQ else " HLG"
        return ColourSpace(name + suffix, "cicp", hdr=HdrSignal(chromaticities, transfer, peak_nits))
    if transfer not in _CURVES:
        return None
    if (primaries, transfer) == (BT709_PRIMARIES, SRGB_TRANSFER):
        return ColourSpace(SRGB.name, "cicp")
    suffix, curve = _CURVES[transfer]
    return ColourSpace(name + suffix, "cicp", matrix_profile(chromaticities, curve))
