"""kombu's Redis transport, with changes: what counts as a lost connection, one client a connection pool, and no credit lost."""

from __future__ import annotations

from typing import Any

from kombu.transport import redis as stock
from redis.exceptions import OutOfMemoryError, ReadOnlyError

from pipeline.credit import Credit

UNWRITABLE = (OutOfMemoryError, ReadOnlyError)
"""A Redis that is full, or has become a replica: it answers, and is as much away as one that does not."""

_Channel: Any = stock.Channel
_make_client = _Channel._create_client  # noqa: SLF001  # it has no public hook


def _client(self: Any, asynchronous: bool = False) -> Any:  # noqa: FBT002  # kombu's own
    """Return the channel's client of its connection pool; kombu makes one for each command, at a tenth of its cost."""
    if asynchronous:
        return _make_client(self, asynchronous)
    kept = vars(self).get("_kept_client")
    if kept is None or kept.connection_pool is not self.pool:  # a lost connection takes its pool along
        kept = self._kept_client = _make_client(self)
    return kept


def adapt() -> None:
    """Change kombu's classes, for every process that imports the app; without this a full Redis ends workers."""
    _Channel._create_client = _client  # noqa: SLF001
    _Channel.QoS = Credit
    stock.Transport.connection_errors = (*stock.Transport.connection_errors, *UNWRITABLE)
