"""Which gateway tidies, and how far it has come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from storage.clock import now_ms
from storage.leases import Lease

LEASE = "tidier"
"""The name of the tidier's lease."""


@dataclass(frozen=True, slots=True)
class TidyProgress:
    """How far the looks for leftovers and orphans have come. A new tidier continues there."""

    leftovers_until_ms: int = 0
    """Jobs that ended until then (epoch ms) were looked at."""
    late_leftovers_until_ms: int = 0
    """Jobs that ended until then (epoch ms) were looked at again."""
    orphans_until_ms: int = 0
    """Folders created until then (epoch ms) were looked at."""
    full_look_ms: int = 0
    """When the last complete look at all folders began (epoch ms)."""


class Tidying:
    """The lease and the progress of the one tidier.

    The database's clock may have been ahead for a while. What was written then must not stop the tidier until the time
    comes: progress of a later time than now does not count.
    """

    def __init__(self, lease: Lease) -> None:
        self._lease = lease

    async def acquire(self, holder: str, *, lease_ms: int) -> TidyProgress | None:
        """Take or renew the lease for `lease_ms` milliseconds; None while another holder has it."""
        found = await self._lease.acquire(holder, lease_ms=lease_ms)
        return None if found is None else _read_progress(found, now_ms())

    async def record(self, holder: str, progress: TidyProgress) -> None:
        """Record the progress, unless another holder has taken over."""
        await self._lease.record(holder, asdict(progress))


def _read_progress(document: Mapping[str, Any], now: int) -> TidyProgress:
    values = {field.name: document.get(field.name, 0) for field in fields(TidyProgress)}
    return TidyProgress(**{name: value if value <= now else 0 for name, value in values.items()})
