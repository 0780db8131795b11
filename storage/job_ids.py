"""Ids of jobs: UUIDv7, which begin with a time and so sort by it."""

from __future__ import annotations

from hashlib import sha256
from secrets import randbits
from uuid import UUID

from storage.clock import DATABASE_CLOCK, MS


def new_job_id() -> str:
    """Return an id that begins with the database's time, so that others can compare it with theirs.

    After the milliseconds come 12 bits of fraction: ids of one process sort by their creation (RFC 9562, section 6.2,
    method 3). Libraries take the time from the wall clock, or else put random bits after the milliseconds.
    """
    ms, rest_ns = divmod(DATABASE_CLOCK.now_ns(), MS)
    return str(UUID(int=ms << 80 | 0x7 << 76 | (rest_ns << 12) // MS << 64 | 0b10 << 62 | randbits(62)))


def first_job_id(ms: int) -> str:
    """Return the lowest id that begins with this time (epoch ms): ids of jobs from then on are not below it."""
    return str(UUID(int=max(ms, 0) << 80 | 0x7 << 76 | 0b10 << 62))


def derive_job_id(parent_id: str, *parts: str) -> str:
    """Return the id of what is made of another job: the same for the same parts. It begins with the parent's time."""
    return hash_job_id(UUID(parent_id).int >> 80, parent_id, *parts)


def hash_job_id(ms: int, *parts: str) -> str:
    """Return an id that begins with this time (epoch ms) and is the same for the same time and parts.

    The other bits are those of a hash, so that many who ask for the same thing at once make one job.
    """
    digest = sha256("\0".join(parts).encode()).digest()
    rest = int.from_bytes(digest[:10])
    bits_12, bits_62 = rest >> 62 & 0xFFF, rest & (1 << 62) - 1
    return str(UUID(int=ms << 80 | 0x7 << 76 | bits_12 << 64 | 0b10 << 62 | bits_62))
