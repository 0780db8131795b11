"""A database of a stack's own, on a Mongo that others use too."""

from __future__ import annotations

import contextlib
import uuid
from urllib.parse import parse_qs, urlsplit

import pymongo
from pymongo.errors import PyMongoError

TIMEOUT_SECONDS = 5.0


def name_scratch_database(url: str) -> str:
    """Return the address with the name of a database that nobody has; a login stays one at the database of before."""
    parts = urlsplit(url)
    query, before = parts.query, parts.path.strip("/")
    if parts.username and before and "authSource" not in parse_qs(query):
        query = f"{query}&authSource={before}".lstrip("&")
    return parts._replace(path=f"/darkroom-{uuid.uuid4().hex[:12]}", query=query).geturl()


def drop_database(url: str) -> None:
    """Remove the database that a Mongo address names, if its server answers."""
    client: pymongo.MongoClient[dict[str, object]]
    with pymongo.MongoClient(url) as client, contextlib.suppress(PyMongoError), pymongo.timeout(TIMEOUT_SECONDS):
        client.drop_database(client.get_default_database().name)
