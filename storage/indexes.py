"""The indexes of the jobs, those that dispatch needs and the later ones, and how indexes come to a collection."""

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


LATE_INDEXES = [
    _index("owner_list", "owner"),
    _index("owner_state_list", "owner", "state"),
    _index("state_list", "state"),
    _index("kind_list", "kind"),
    IndexModel([(field, ASCENDING) for field in ("state", "blobs_removed_ms", "finished_ms")], name="with_blobs"),
    IndexModel([("parent_id", ASCENDING)], name="children"),
    IndexModel([("owner", ASCENDING), ("finished_ms", ASCENDING)], name="owner_ends"),
]
"""The indexes that came later, of the lists of jobs, of the tidier, of a job's images on demand, and of events."""


async def create_indexes(jobs: AsyncIOMotorCollection[dict[str, Any]], indexes: list[IndexModel]) -> None:
    """Create the indexes that are missing, those that came later included, except on the embedded server.

    On a large collection the later ones take longer than a reply may take: MongoDB goes on building then, and serves
    the collection meanwhile. The embedded server fails every insert once it has an index with an id in it.
    """
    await create_missing(jobs, indexes)
    server = await jobs.database.command("buildInfo")
    if server.get("process") == EMBEDDED_SERVER:
        return
    with suppress(NetworkTimeout):
        await create_missing(jobs, LATE_INDEXES)


async def create_missing(documents: AsyncIOMotorCollection[dict[str, Any]], indexes: list[IndexModel]) -> None:
    """Create the indexes that are not there as they are to be. FerretDB 1 panics when it is asked for two that are."""
    existing = {name: index["key"] for name, index in (await documents.index_information()).items()}
    missing = [each for each in indexes if existing.get(each.document["name"]) != list(each.document["key"].items())]
    if missing:
        await documents.create_indexes(missing)
