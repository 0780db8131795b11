"""A frame's size is that of its sequence, or its own."""

from __future__ import annotations

import pytest

from stages.container_info import PartCounter
from stages.heif.av1 import Av1Stream

_SEQUENCE = f"{0:029b} 1011 1011 {3999:012b} {2999:012b} 0 000 0000 1 00 0 0 110"  # order hints of 7 bits
_KEY, _INTER = "0 00 1", "0 01 1 0"


def _pack(bits: str) -> bytes:
    bits = bits.replace(" ", "") + "1"
    return int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8))


@pytest.mark.parametrize(
    ("frame", "size"),
    [
        (f"{_KEY} 0 0 {5:07b}", (4000, 3000)),
        (f"{_KEY} 0 1 {5:07b} {1999:012b} {1499:012b}", (2000, 1500)),
        (f"{_KEY} 0 1 {5:07b} {4095:012b} {4095:012b}", (4096, 4096)),
        (f"{_INTER} 0 1 {5:07b} {1999:012b} {1499:012b}", (4096, 4096)),
    ],
    ids=["of the sequence", "its own", "its own, larger than the sequence states", "the largest, if its own lies deep"],
)
def test_the_size_of_a_frame_is_read_from_its_header(frame: str, size: tuple[int, int]) -> None:
    units = [(0x0A, _pack(_SEQUENCE)), (0x32, _pack(frame))]
    stream = b"".join(bytes([kind, len(payload)]) + payload for kind, payload in units)

    assert list(Av1Stream(PartCounter("units")).frame_sizes(memoryview(stream))) == [size]
