"""Which parts of an ICC profile count in a JPEG: as Chromium 156 shows these images."""

from __future__ import annotations

import struct

import pytest

from stages.limits import Limits
from stages.normalize import normalize
from tests.support.images import encode_image, photo, rgb_profile

PROFILE, OTHER = rgb_profile("adobe"), rgb_profile("p3")
FIRST, SECOND = PROFILE[:200], PROFILE[200:]
SHORT = b"\xff\xe2\0\x0eICC_PROFILE\0"
WHOLE = [(1, 1, PROFILE)]
HALVES = [(1, 2, FIRST), (2, 2, SECOND)]

Parts = list[tuple[int, int, bytes]]


def markers(parts: Parts) -> bytes:
    return b"".join(
        b"\xff\xe2" + struct.pack(">H", 16 + len(part)) + b"ICC_PROFILE\0" + bytes((number, count)) + part
        for number, count, part in parts
    )


def jpeg(before: bytes = b"", behind: bytes = b"") -> bytes:
    """Return a JPEG with markers before and behind the header of its frame."""
    plain = encode_image(photo(), "jpeg")
    scan = plain.index(b"\xff\xda")
    return plain[:20] + before + plain[20:scan] + behind + plain[scan:]


def shown(original: bytes) -> bytes:
    return normalize(original, edge=96, limits=Limits()).image().tobytes()


CONVERTED = shown(encode_image(photo(), "jpeg", icc_profile=PROFILE))


@pytest.mark.parametrize(
    "original",
    [
        jpeg(markers(HALVES)),
        jpeg(markers(HALVES[::-1])),
        jpeg(behind=markers(WHOLE)),
        jpeg(markers(HALVES[:1]), markers(HALVES[1:])),
        jpeg(markers([*WHOLE, (1, 1, OTHER)])),
        jpeg(markers([*HALVES, (3, 2, b"x")])),
        jpeg(markers([(1, 1, b""), *WHOLE])),
        jpeg(SHORT + markers(WHOLE)),
    ],
    ids=["in order", "reversed", "behind", "around", "another", "one too many", "an empty one", "a short one"],
)
def test_a_profile_counts_once_all_its_parts_are_there(original: bytes) -> None:
    assert shown(original) == CONVERTED


@pytest.mark.parametrize(
    "parts",
    [
        [(1, 2, FIRST)],
        [(0, 2, FIRST), (1, 2, SECOND)],
        [(1, 2, FIRST), (3, 2, SECOND)],
        [(1, 2, FIRST), (2, 3, SECOND)],
        [(1, 2, FIRST), *HALVES],
        [(0, 0, PROFILE)],
    ],
    ids=["missing", "from 0", "beyond the count", "another count", "twice", "none of none"],
)
def test_a_profile_of_parts_that_cannot_be_does_not_count(parts: Parts) -> None:
    assert shown(jpeg(markers(parts))) == shown(jpeg())
