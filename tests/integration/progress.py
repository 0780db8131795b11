"""How far jobs have come, for tests that break something in the middle of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import httpx
import pymongo
from pymongo.collection import Collection

from tests.integration.api_helpers import get_status, wait_until


def wait_for_the_resizes(http: httpx.Client, task_ids: Iterable[str]) -> None:
    """Return as soon as one of the jobs is past `normalize`: its chord is sent, or about to be."""
    ids = list(task_ids)
    wait_until(lambda: any(_is_normalized(http, task_id) for task_id in ids), "a resize to begin")


def _is_normalized(http: httpx.Client, task_id: str) -> bool:
    found: bool = get_status(http, task_id)["stages"]["normalize"]["state"] == "done"
    return found


def finalizations(mongo_url: str, task_ids: Iterable[str]) -> set[int]:
    """Return how often the jobs were finalised, each number that occurs."""
    mongo: pymongo.MongoClient[dict[str, Any]]
    with pymongo.MongoClient(mongo_url) as mongo:
        jobs: Collection[dict[str, Any]] = mongo.get_default_database()["jobs"]
        return {job["finalizations"] for job in jobs.find({"_id": {"$in": list(task_ids)}})}
