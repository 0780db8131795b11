"""Missing indexes are created, later ones without a wait for them; and queries of lists have a limit of time."""

from __future__ import annotations

from typing import Any, cast

import pytest
from pymongo import IndexModel
from pymongo.errors import NetworkTimeout, OperationFailure

from storage.documents import Job
from storage.indexes import EMBEDDED_SERVER, LATE_INDEXES, create_indexes
from storage.stores import Stores
from tests.contract.conftest import FindCommands
from tests.support.fakes import new_job


class MongoDB:
    """A collection and its database on a MongoDB that answers the creation of indexes with an error, or not at all."""

    def __init__(self, error: Exception | None = None, **info: str) -> None:
        self.database = self
        self.created: list[IndexModel] = []
        self.requests = 0
        self._error = error
        self._info = info

    async def command(self, name: str) -> dict[str, str]:
        assert name == "buildInfo"
        return self._info

    async def index_information(self) -> dict[str, Any]:
        return {each.document["name"]: {"key": list(each.document["key"].items())} for each in self.created}

    async def create_indexes(self, indexes: list[IndexModel]) -> None:
        self.requests += 1
        self.created += indexes
        if self._error:
            raise self._error


async def test_every_list_has_an_index_in_the_order_of_its_pages_and_so_have_jobs_with_blobs() -> None:
    await create_indexes(cast("Any", database := MongoDB(version="8.0.0")), [])

    keys = [tuple(index.document["key"]) for index in database.created]
    lists = [("owner", "_id"), ("owner", "state", "_id"), ("state", "_id"), ("kind", "_id")]
    others = [("state", "blobs_removed_ms", "finished_ms"), ("parent_id",), ("owner", "finished_ms")]
    assert keys == lists + others


async def test_a_gateway_does_not_wait_for_the_indexes_of_a_large_collection() -> None:
    await create_indexes(cast("Any", database := MongoDB(NetworkTimeout("timed out"))), [])

    assert database.created


async def test_a_server_that_may_not_create_indexes_is_an_error() -> None:
    with pytest.raises(OperationFailure):
        await create_indexes(cast("Any", MongoDB(OperationFailure("not authorized", code=13))), [])


async def test_an_index_that_is_there_is_not_asked_for_again() -> None:
    database = MongoDB()
    database.created = Job.Settings.indexes[:-1] + LATE_INDEXES

    await create_indexes(cast("Any", database), Job.Settings.indexes)

    assert database.created[-1].document["name"] == "outbox"
    assert database.requests == 1


async def test_an_index_of_the_same_name_on_other_fields_is_asked_for_and_so_refused_by_the_server() -> None:
    database = MongoDB()
    database.created = [*LATE_INDEXES, IndexModel([("state", 1)], name="due")]

    await create_indexes(cast("Any", database), Job.Settings.indexes[:1])

    assert database.created[-1].document["key"] == {"state": 1, "next_dispatch_ms": 1}


async def test_lists_read_in_the_order_of_an_index_where_the_server_has_it(stores: Stores) -> None:
    await stores.jobs.insert(new_job(owner="ann"))
    jobs = Job.get_motor_collection()
    if "owner_list" not in await jobs.index_information():
        assert (await jobs.database.command("buildInfo"))["process"] == EMBEDDED_SERVER
        return

    for query in ({"owner": "ann"}, {"owner": "ann", "state": "done"}, {"state": "done"}, {"kind": "crop"}):
        planner = (await jobs.find(query).sort("_id", -1).explain())["queryPlanner"]
        if "winningPlan" not in planner:
            pytest.skip("the server does not explain how it reads")
        plan = str(planner["winningPlan"])
        assert ("'SORT'" in plan, "'COLLSCAN'" in plan) == (False, False), query


async def test_the_database_works_on_a_list_for_a_limited_time(stores: Stores, finds: FindCommands) -> None:
    await stores.jobs.page(owner=None, state=None, kind=None, before_id=None, limit=1)

    assert finds.sent[-1]["maxTimeMS"] == 5000
