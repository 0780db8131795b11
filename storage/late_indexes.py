"""The indexes that came later, of the lists of jobs and of the tidier, and how they come to an existing collection."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from motor.motor_asyncio import AsyncIOMotorCollection
from pymongo import ASCENDING, IndexModel
from pymongo.errors import NetworkTimeout

EMBEDDED_SERVER = "nx_27017"


def _index(name: str, *fields: str) -> IndexModel:
    """Return an index on these fields, then on the id: pages are sorted by it, from either end."""
    return IndexModel([(field, ASCENDING) for field in (*fields, "_id")], name=name)


INDEXES = [
    _index("owner_list", "owner"),
    _index("owner_state_list", "owner", "state"),
    _index("state_list", "state"),
    _index("kind_list", "kind"),
    IndexModel([(field, ASCENDING) for field in ("state", "blobs_removed_ms", "finished_ms")], name="with_blobs"),
]


async def create_late_indexes(jobs: AsyncIOMotorCollection[dict[str, Any]]) -> None:
    """Create the indexes that are missing, except on the embedded server.

    On a large collection this takes longer than a reply may take: MongoDB goes on building then, and serves the
    collection meanwhile. The embedded server fails every insert once it has an index with an id in it.
    """
    server = await jobs.database.command("buildInfo")
    if server.get("process") == EMBEDDED_SERVER:
        return
    with suppress(NetworkTimeout):
        await jobs.create_indexes(INDEXES)
