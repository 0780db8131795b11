"""Addresses of Mongo, one server or a replica set: each part of Darkroom that reads one reads the same in it."""

from __future__ import annotations

from typing import Any

import pytest
from pymongo import MongoClient, ReadPreference
from pymongo.write_concern import WriteConcern

from deploy.local.scratch_database import name_scratch_database
from storage.stores import DURABLE, database_name

REPLICA_SET = "mongodb://ada:p%2Fw%40d@a.example,b.example:27018,c.example"


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("mongodb://127.0.0.1:27017/darkroom", "darkroom"),
        (f"{REPLICA_SET}/photos?replicaSet=rs0", "photos"),
        (f"{REPLICA_SET}/photos?replicaSet=rs0&authSource=admin", "photos"),
        (f"{REPLICA_SET}/?replicaSet=rs0", "darkroom"),
        (f"{REPLICA_SET}?replicaSet=rs0", "darkroom"),
        (REPLICA_SET, "darkroom"),
        ("mongodb+srv://ada:secret@cluster.example/photos?retryWrites=true", "photos"),
        ("mongodb://[::1]:27017,[::2]:27017/photos", "photos"),
    ],
)
def test_the_database_is_the_one_in_the_path(url: str, name: str) -> None:
    assert database_name(url) == name


@pytest.mark.parametrize(
    ("url", "query"),
    [
        (f"{REPLICA_SET}/photos?replicaSet=rs0", "replicaSet=rs0&authSource=photos"),  # where the login was checked
        (f"{REPLICA_SET}/photos?authSource=admin", "authSource=admin"),
        (f"{REPLICA_SET}?replicaSet=rs0", "replicaSet=rs0"),
        ("mongodb://a.example/photos?replicaSet=rs0", "replicaSet=rs0"),
    ],
)
def test_a_database_of_ones_own_is_in_the_same_replica_set(url: str, query: str) -> None:
    own = name_scratch_database(url)

    assert database_name(own).startswith("darkroom-")
    assert own.partition("/darkroom-")[0] == url.partition("?")[0].removesuffix("/photos")
    assert own.partition("?")[2] == query


def test_no_address_makes_a_write_less_durable_or_a_read_less_fresh() -> None:
    url = f"{REPLICA_SET}/photos?replicaSet=rs0&w=1&journal=false&readPreference=secondaryPreferred"

    client: MongoClient[dict[str, Any]]
    with MongoClient(url, connect=False, **DURABLE) as client:
        assert client.write_concern == WriteConcern(w="majority", j=True)
        assert client.read_preference == ReadPreference.PRIMARY
        assert client.options.retry_writes
