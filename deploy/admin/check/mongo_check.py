"""What MongoDB answers: its version, its replica set, its indexes, and whether we may do there what we need."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import ConfigurationError, OperationFailure, PyMongoError

from deploy.admin.check.redis_check import judge_clock
from deploy.admin.findings import Finding, error, ok, warning
from pipeline.settings import Settings
from storage.documents import Job
from storage.indexes import EMBEDDED_SERVER, LATE_INDEXES
from storage.stores import DURABLE, database_name

SUBJECT = "mongo"
MIN_VERSION = 6
UNAUTHORIZED, WRONG_PASSWORD = 13, 18
PROBE_COLLECTION = "darkroom_check"


def check_mongo(settings: Settings) -> Iterator[Finding]:
    """Yield what the server answers."""
    timeout_ms = int(settings.mongo_timeout * 1000)
    timeouts: dict[str, Any] = {
        "serverSelectionTimeoutMS": timeout_ms,
        "connectTimeoutMS": timeout_ms,
    }
    client: MongoClient[dict[str, Any]]
    try:
        with MongoClient(settings.mongo_url, **timeouts, socketTimeoutMS=2 * timeout_ms, **DURABLE) as client:
            yield from _check_server(client)
            yield from _check_rights(client[database_name(settings.mongo_url)])
            yield from _check_indexes(client, client[database_name(settings.mongo_url)])
    except (ConfigurationError, ValueError):  # its text may hold a part of the password
        yield error(
            SUBJECT,
            "its URL cannot be used",
            "Correct DARKROOM_MONGO_URL: in a name or password, write %2F for /, %3A for : and %40 for @.",
        )
    except OperationFailure as failure:
        yield _describe_refusal(failure)
    except PyMongoError:
        servers = urlsplit(settings.mongo_url).netloc.rpartition("@")[2]
        yield error(
            SUBJECT,
            f"{servers} does not answer within {settings.mongo_timeout:g} s",
            "Start it, or correct DARKROOM_MONGO_URL.",
        )


def _check_server(client: MongoClient[dict[str, Any]]) -> Iterator[Finding]:
    build, hello = client.admin.command("buildInfo"), client.admin.command("hello")
    version, is_embedded = str(build.get("version", "0")), build.get("process") == EMBEDDED_SERVER
    replicas = hello.get("setName")
    kind = f"replica set {replicas}" if replicas else "a single server, not a replica set"
    if is_embedded:
        yield ok(SUBJECT, "the embedded server answers: for one machine, and for trying out")
    elif int(version.split(".", maxsplit=1)[0]) < MIN_VERSION:
        yield error(SUBJECT, f"MongoDB {version} is too old", f"Use {MIN_VERSION}.0 or newer.")
    else:
        yield ok(SUBJECT, f"MongoDB {version} answers: {kind}")
    local_time: datetime | None = hello.get("localTime")
    if local_time is not None:
        yield from judge_clock(SUBJECT, local_time.replace(tzinfo=UTC).timestamp() - time.time())


def _check_rights(database: Database[dict[str, Any]]) -> Iterator[Finding]:
    """Do once what our programs do, in a collection of our own, which is dropped."""
    probes: Collection[dict[str, Any]] = database[PROBE_COLLECTION]
    actions: dict[str, Callable[[], object]] = {
        "insert": lambda: probes.insert_one({"_id": "probe", "n": 1}),
        "find and update": lambda: probes.find_one_and_update({"_id": "probe"}, {"$inc": {"n": 1}}),
        "create an index": lambda: probes.create_index("n", name="n"),
        "remove": lambda: probes.delete_one({"_id": "probe"}),
        "drop": probes.drop,
    }
    probes.drop()  # what an earlier check left that was killed
    refused = []
    for name, run in actions.items():
        try:
            run()
        except OperationFailure as failure:
            if failure.code != UNAUTHORIZED:
                raise
            refused.append(name)
    if refused:
        yield error(
            SUBJECT,
            f"the user may not {', '.join(refused)} in the database {database.name}",
            f"Give it the role readWrite on {database.name}.",
        )
    else:
        yield ok(SUBJECT, f"the user may read and write the database {database.name}")


def _check_indexes(client: MongoClient[dict[str, Any]], database: Database[dict[str, Any]]) -> Iterator[Finding]:
    is_embedded = client.admin.command("buildInfo").get("process") == EMBEDDED_SERVER
    name, indexes = str(Job.Settings.name), [*Job.Settings.indexes, *([] if is_embedded else LATE_INDEXES)]
    if name not in database.list_collection_names():
        yield ok(SUBJECT, "no jobs yet: the first gateway creates the collections and indexes")
        return
    wanted = {_fields(index.document): str(index.document["name"]) for index in indexes}
    existing = {_fields(index) for index in database[name].list_indexes()}
    if missing := [wanted[fields] for fields in wanted.keys() - existing]:
        yield warning(
            SUBJECT,
            f"{name} lacks the indexes {', '.join(sorted(missing))}",
            "The next gateway creates them as it starts; on a large collection this takes minutes.",
        )
    else:
        yield ok(SUBJECT, f"{name} has its indexes, and {database[name].estimated_document_count()} documents")


def _fields(index: Mapping[str, Any]) -> tuple[tuple[str, int], ...]:
    """Return what is indexed: the embedded server gives indexes names of its own."""
    return tuple(index["key"].items())


def _describe_refusal(failure: OperationFailure) -> Finding:
    if failure.code == WRONG_PASSWORD:
        return error(SUBJECT, "user or password is wrong", "Correct DARKROOM_MONGO_URL.")
    if failure.code == UNAUTHORIZED:
        return error(SUBJECT, f"it refuses: {_first_line(failure)}", "Name user and password in DARKROOM_MONGO_URL.")
    return error(SUBJECT, f"it answers with an error: {_first_line(failure)}", "Look at its log.")


def _first_line(failure: Exception) -> str:
    return str(failure).partition("\n")[0].partition(", full error")[0]
