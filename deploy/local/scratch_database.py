"""A database for one stack, on a MongoDB server that others use too."""

from __future__ import annotations

import contextlib
import uuid
from urllib.parse import parse_qs, urlsplit

import pymongo
from pymongo.errors import PyMongoError

TIMEOUT_SECONDS = 5.0


def name_scratch_database(url: str) -> str:
    """Return the URL with a new, unique database name. A login still authenticates against the original database."""
    parts = urlsplit(url)
    query, original = parts.query, parts.path.strip("/")
    if parts.username and original and "authSource" not in parse_qs(query):
        query = f"{query}&authSource={original}".lstrip("&")
    return parts._replace(path=f"/darkroom-{uuid.uuid4().hex[:12]}", query=query).geturl()


def drop_database(url: str) -> None:
    """Drop the database that a MongoDB URL names. Errors are ignored."""
    client: pymongo.MongoClient[dict[str, object]]
    with pymongo.MongoClient(url) as client, contextlib.suppress(PyMongoError), pymongo.timeout(TIMEOUT_SECONDS):
        client.drop_database(client.get_default_database().name)
