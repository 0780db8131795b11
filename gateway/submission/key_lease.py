"""The Idempotency-Key of one request, held by a short lease that is renewed while the request is received."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from pymongo.errors import PyMongoError

from gateway.lifespan import run_in_background
from gateway.permission import Permission
from gateway.problems import InvalidHeader, KeyInUse
from pipeline.settings import Settings
from storage.clock import now_ms
from storage.documents import Job
from storage.errors import TRANSIENT_ERRORS
from storage.idempotency import IdempotencyKey, IdempotencyKeys, KeyState

MAX_KEY_LENGTH = 255
RENEWALS_IN_LEASE = 4
TIMEOUTS_OF_INSERT = 8
"""An insert takes this many `mongo_timeout`s at most: find a server, connect, wait twice as long; all of it twice."""


class KeyLease:
    """Holds a key for one request. A gateway that dies holds its keys only until their leases end.

    The lease is longer during the insert, because the insert cannot be called back: two requests could have a job each.
    """

    def __init__(self, keys: IdempotencyKeys, key: str, *, job_id: str, settings: Settings) -> None:
        self._keys = keys
        self._key = key
        self._job_id = job_id
        self._lease_ms = int(settings.http.key_lease * 1000)
        self._insert_lease_ms = max(self._lease_ms, int(settings.mongo_timeout * 1000) * TIMEOUTS_OF_INSERT)
        self._keep_ms = int(settings.retention.idempotency_keys * 1000)
        self._is_inserting = False
        self._receiving = asyncio.timeout(None)

    @asynccontextmanager
    async def hold(self) -> AsyncIterator[IdempotencyKey | None]:
        """Hold the key in the block and yield None, or yield the key as an earlier request was answered under it.

        Raises `KeyInUse` if another request holds the key; in the block too, if another one takes it. A block that
        raises releases the key, unless it may have inserted the job.
        """
        earlier = await self._keys.acquire(self._key, job_id=self._job_id, lease_ms=self._lease_ms)
        if earlier is not None:
            if earlier.state is KeyState.RUNNING:
                raise self._in_use(earlier.expires_ms - now_ms())
            yield earlier
            return
        try:
            async with self._receiving, run_in_background(self._renew()):
                yield None
        except BaseException as error:
            if not self._is_inserting:
                with suppress(*TRANSIENT_ERRORS):  # then the key is free when its lease ends
                    await asyncio.shield(self._keys.release(self._key, job_id=self._job_id))
            if isinstance(error, TimeoutError) and self._receiving.expired():
                raise self._in_use(self._lease_ms) from None
            raise

    async def extend_for_insert(self) -> None:
        """Extend the lease: from here on the job may exist. Raises `KeyInUse` if another request has taken the key."""
        self._lease_ms = self._insert_lease_ms
        if not await self._keys.extend_lease(self._key, job_id=self._job_id, lease_ms=self._lease_ms):
            raise self._in_use(self._lease_ms)
        self._is_inserting = True

    async def mark_answered(self, job: Job) -> bool:
        """Keep the key for this job, which has been inserted; False if another request has taken the key meanwhile."""
        with suppress(*TRANSIENT_ERRORS):  # a key whose job exists counts as answered anyway
            return await self._keys.mark_answered(
                self._key, job_id=job.id, fingerprint=job.fingerprint or "", keep_ms=self._keep_ms
            )
        return True

    async def _renew(self) -> None:
        """Renew the lease again and again. If another request has taken the key, end the block of `hold`."""
        while True:
            await asyncio.sleep(self._lease_ms / 1000 / RENEWALS_IN_LEASE)
            with suppress(PyMongoError):  # the next renewal may succeed, also after the lease has ended
                if not await self._keys.extend_lease(self._key, job_id=self._job_id, lease_ms=self._lease_ms):
                    break
        if not self._is_inserting:  # an insert is not interrupted: `mark_answered` finds out
            self._receiving.reschedule(asyncio.get_running_loop().time())

    def _in_use(self, remaining_ms: int) -> KeyInUse:
        seconds = math.ceil(min(remaining_ms, self._insert_lease_ms) / 1000)  # earlier versions had longer leases
        return KeyInUse(
            "Another request with this Idempotency-Key is still being received. "
            "Send this one again after the time in Retry-After.",
            headers={"Retry-After": str(max(1, seconds))},
        )


@asynccontextmanager
async def hold_idempotency_key(
    keys: IdempotencyKeys, header: str | None, permission: Permission, *, job_id: str, settings: Settings
) -> AsyncIterator[tuple[KeyLease | None, IdempotencyKey | None]]:
    """Hold a request's Idempotency-Key, if it has one, in the block. Yield the lease, and what `KeyLease.hold` does."""
    if header is None:
        yield None, None
        return
    if not 1 <= len(header) <= MAX_KEY_LENGTH:
        raise InvalidHeader(
            f"The Idempotency-Key has {len(header)} characters. Send one of 1 to {MAX_KEY_LENGTH} characters."
        )
    lease = KeyLease(keys, f"{_space_of(permission)}:{header}", job_id=job_id, settings=settings)
    async with lease.hold() as earlier:
        yield lease, earlier


def _space_of(permission: Permission) -> str:
    """Return whose keys they are: the owner's, or those of one upload token, which sees no other jobs."""
    owner, token_id = permission.owner or "", permission.token_id
    return owner if token_id is None else f"{owner}\n{token_id}"  # no header has a line break in it
