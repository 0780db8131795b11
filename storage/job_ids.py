"""Ids of jobs: UUIDv7, which begin with a time and so sort by it."""

from __future__ import annotations

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
