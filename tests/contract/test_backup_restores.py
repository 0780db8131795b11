"""Restores that meet each other, or what an earlier one has left: none removes or completes what is another's."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from bson import encode
from pymongo import MongoClient

from deploy.backup.archive import ArchiveReader
from deploy.backup.errors import NotEmpty, TakenOver
from deploy.backup.members import Member
from deploy.backup.restore import BATCH, MARKER, Stores, restore
from deploy.backup.save import save
from pipeline.settings import Settings
from storage.blobs import Blobs

JOBS = [{"_id": f"job-{number}"} for number in range(BATCH + 1)]


class Place:
    """A database and a blob store."""

    def __init__(self, client: MongoClient[dict[str, Any]], mongo_url: str, folder: Path) -> None:
        name = f"restores_{uuid4().hex}"
        url = urlsplit(mongo_url)._replace(path=f"/{name}").geturl()
        self.settings = Settings(mongo_url=url, blob_url=folder.as_uri())
        self.database, self.blobs = client[name], Blobs.open(folder.as_uri())

    def stores(self) -> Stores:
        return Stores(self.database, self.blobs, self.settings.blob_url)

    def ids(self) -> set[str]:
        return {document["_id"] for document in self.database["jobs"].find()}

    def leftovers(self) -> list[str]:
        return [name for name in self.database.list_collection_names() if name.startswith(MARKER)]


@pytest.fixture
def client(mongo_url: str) -> Iterator[MongoClient[dict[str, Any]]]:
    client: MongoClient[dict[str, Any]] = MongoClient(mongo_url)
    with client:
        yield client


@pytest.fixture
def place(client: MongoClient[dict[str, Any]], mongo_url: str, tmp_path: Path) -> Iterator[Place]:
    place = Place(client, mongo_url, tmp_path / "place")
    yield place
    client.drop_database(place.database)


@pytest.fixture
def archive(client: MongoClient[dict[str, Any]], mongo_url: str, tmp_path: Path) -> bytes:
    source = Place(client, mongo_url, tmp_path / "source")
    source.database["jobs"].insert_many(JOBS)
    source.blobs.put("job-1/small.1", b"x")
    stream = io.BytesIO()
    save(source.settings, stream)
    client.drop_database(source.database)
    return stream.getvalue()


def begin(stores: Stores) -> None:
    """Restore other documents and another blob, up to where `publish` comes."""
    stores.prepare()
    stores.add_documents("jobs", map(encode, JOBS))
    stores.add_blob(Member("blobs/other/small.1", 1, io.BytesIO(b"y")))


def test_a_restore_that_was_killed_while_it_published_is_begun_anew(archive: bytes, place: Place) -> None:
    begin(place.stores())
    place.database["jobs"].insert_many(JOBS[:3])

    restore(place.settings, ArchiveReader(io.BytesIO(archive)))

    assert place.ids() == {job["_id"] for job in JOBS}
    assert place.blobs.list_folders() == ["job-1"]
    assert not place.leftovers()


def test_a_job_that_came_after_a_restore_was_killed_is_not_removed(archive: bytes, place: Place) -> None:
    begin(place.stores())
    place.database["jobs"].insert_one({"_id": "new"})

    with pytest.raises(NotEmpty):
        restore(place.settings, ArchiveReader(io.BytesIO(archive)))

    assert place.ids() == {"new"}


def test_blobs_of_another_store_than_that_of_the_killed_restore_are_not_removed(
    archive: bytes, place: Place, tmp_path: Path
) -> None:
    begin(place.stores())
    other = (tmp_path / "other").as_uri()
    Blobs.open(other).put("a-job/original", b"precious")

    with pytest.raises(NotEmpty):
        restore(place.settings.model_copy(update={"blob_url": other}), ArchiveReader(io.BytesIO(archive)))

    assert Blobs.open(other).get("a-job/original") == b"precious"


def test_of_two_restores_at_once_the_later_one_counts_and_the_other_says_so(place: Place) -> None:
    earlier, later = place.stores(), place.stores()
    begin(earlier)
    begin(later)

    with pytest.raises(TakenOver):
        earlier.publish()
    later.publish()

    assert place.ids() == {job["_id"] for job in JOBS}
    assert place.blobs.list_folders() == ["other"]


def test_a_restore_that_was_taken_over_removes_nothing_when_it_fails(archive: bytes, place: Place) -> None:
    class CutOff(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if not (content := super().read(size)):
                begin(place.stores())
            return content

    with pytest.raises(TakenOver):
        restore(place.settings, ArchiveReader(CutOff(archive[: len(archive) // 2])))

    assert place.blobs.list_folders() == ["other"]


def test_what_a_restore_left_that_was_killed_at_its_very_end_is_no_hindrance(archive: bytes, place: Place) -> None:
    place.database["restoring_jobs"].insert_many(JOBS)

    restore(place.settings, ArchiveReader(io.BytesIO(archive)))

    assert not place.leftovers()
