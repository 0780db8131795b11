"""PQ and HLG pictures on an SDR screen: a table from their signal to colours that sRGB can show.

The tone curve is the reference white tone mapping of SMPTE ST 2094-50 (draft of 2025, annex D) at a headroom of 0. It
is what Chromium applies: a mean of 0.3 levels of 255 between the two.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from operator import mul

from stages.colour.chromaticities import D50, Chromaticities, Vector, apply_matrix, invert, multiply, rgb_to_xyz
from stages.colour.profiles import TABLE_POINTS, table_profile

PQ, HLG = 16, 18  # H.273, table 3
BT2020 = Chromaticities((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), (0.3127, 0.3290))
DEFAULT_PEAK_NITS = 1000.0
_WHITE_NITS = 203.0  # what a white page has: BT.2408-7, 2.2
_PQ_NITS, _HLG_NITS = 10_000.0, 1000.0  # of the largest code value: BT.2100-2, tables 4 and 5
_LUMINANCE = (0.2627, 0.6780, 0.0593)  # of BT.2020's primaries
_KAPPA = 0.65


@dataclass(frozen=True, slots=True)
class HdrSignal:
    """A picture's primaries, its transfer function (PQ or HLG), and its brightest pixel in cd/m2."""

    primaries: Chromaticities
    transfer: int
    peak_nits: float = DEFAULT_PEAK_NITS


@lru_cache(maxsize=8)
def sdr_profile(signal: HdrSignal) -> bytes:
    """Return a profile that tone-maps the signal: 60 ms, and 211 KiB."""
    return table_profile(_sdr_colours(signal))


def _sdr_colours(signal: HdrSignal) -> Iterator[Vector]:
    """Yield the tone-mapped colour of each point of the table, as XYZ with a white of Y = 1."""
    to_light, tone_curve = (_hlg if signal.transfer == HLG else _pq), _ToneCurve(signal.peak_nits)
    to_xyz = rgb_to_xyz(signal.primaries, white=D50)
    to_bt2020 = multiply(invert(rgb_to_xyz(BT2020, white=D50)), to_xyz)
    for colour in product([to_light(step / (TABLE_POINTS - 1)) for step in range(TABLE_POINTS)], repeat=3):
        mixed = colour if signal.primaries == BT2020 else apply_matrix(to_bt2020, colour)
        gain = _system_gain(mixed) if signal.transfer == HLG else 1.0
        gain *= tone_curve.gain(gain * max(mixed))
        red, green, blue = colour
        yield apply_matrix(to_xyz, (gain * red, gain * green, gain * blue))


def _system_gain(scene: Vector) -> float:
    """Return the factor from HLG's scene light to a display's, in units of the reference white: BT.2100-2, table 5."""
    luminance = sum(map(mul, _LUMINANCE, scene))
    return math.pow(max(luminance, 0.0), 0.2) * (_HLG_NITS / _WHITE_NITS)


def _pq(code: float) -> float:
    """Return the light of a PQ code value in units of the reference white: BT.2100-2, table 4."""
    root = math.pow(code, 32 / 2523)
    ratio = max(root - 0.8359375, 0.0) / (18.8515625 - 18.6875 * root)
    return math.pow(ratio, 16_384 / 2610) * (_PQ_NITS / _WHITE_NITS)


def _hlg(code: float) -> float:
    """Return the scene light of an HLG code value, 0 to 1: BT.2100-2, table 5."""
    if code <= 0.5:  # noqa: PLR2004
        return code * code / 3
    a = 0.17883277
    b = 1 - 4 * a
    return (math.exp((code - 0.5 + a * math.log(4 * a)) / a) + b) / 12


class _ToneCurve:
    """Scales light by one factor up to the reference white, and by a quadratic Bezier curve from there to the peak.

    ST 2094-50, formulas D.1 to D.5.
    """

    def __init__(self, peak_nits: float) -> None:
        peak = max(peak_nits, _WHITE_NITS)
        self._peak = peak / _WHITE_NITS
        self._knee = 1 - 0.5 * min(math.log(self._peak) / math.log(DEFAULT_PEAK_NITS / _WHITE_NITS), 1.0)
        self._middle = 1 - _KAPPA + _KAPPA / self._knee, (1 - _KAPPA) * self._knee + _KAPPA

    def gain(self, light: float) -> float:
        """Return the factor for a pixel whose largest channel has this much light, in units of the reference white."""
        if light <= 1:
            return self._knee
        if light >= self._peak:
            return 1 / light
        (x, y), knee = self._middle, self._knee
        slope, bend = 2 * (x - 1), 1 - 2 * x + self._peak
        t = 2 * (light - 1) / (slope + math.sqrt(slope * slope + 4 * bend * (light - 1)))
        return (knee + t * (2 * (y - knee) + t * (knee - 2 * y + 1))) / light
