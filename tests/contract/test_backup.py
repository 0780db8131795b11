"""An archive holds what the stores hold, and one that is damaged or cut off leaves nothing behind."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from bson import Int64, encode
from pymongo import MongoClient
from pymongo.database import Database

from deploy.backup.archive import ArchiveReader, ArchiveWriter, FolderReader
from deploy.backup.errors import BackupError, NotEmpty
from deploy.backup.members import FORMAT, Manifest, Member
from deploy.backup.restore import Stores, restore, verify
from deploy.backup.save import PART_BYTES, save
from pipeline.settings import Settings
from storage.blobs import SINGLE_PUT_MAX_BYTES, Blobs
from storage.documents import asset_key
from tests.support.backup_archives import LEGACY_DOCUMENTS, cut_places, damage_places, write_legacy_folder

AT = datetime(2026, 5, 1, tzinfo=UTC)
JOBS: list[dict[str, Any]] = [{"_id": f"job-{number}", "n": Int64(number), "at": AT} for number in range(20)]
HEAVY: list[dict[str, Any]] = [{"_id": f"heavy-{number}", "text": "x" * PART_BYTES} for number in range(2)]
KEYS = [{"_id": "owner/key", "job_id": "job-1"}]
LARGE = bytes(range(256)) * (SINGLE_PUT_MAX_BYTES // 256) + b"more than one put takes"
BLOBS = {
    "job-1/original": b"x" * 1000,
    "job-1/small.1": b"",
    "job-2/master.1": LARGE,
    "job-3/small.1": b"z" * 512,
    "job-3/card@2x.avif.1": b"y",
    asset_key("1" * 64): b"logo",
}
HEADERS = {"Content-Disposition": "inline; filename*=UTF-8''f%C3%B3to.webp", "Cache-Control": "private"}
USES = [{"_id": "owner:token", "uses": 1, "jobs": {"job-1": 1}, "expires_ms": 1}]
ENDPOINTS = [{"_id": "01900000-0000-7000-8000-000000000000", "url": "https://shop.example/hook"}]
FIXED = [{"_id": "fixed-shop", "url": "https://shop.example/fixed"}]
COUNTS = {"jobs": 22, "idempotency_keys": 1, "token_uses": 1, "webhooks": 1, "blobs": 6}


class Place:
    """A database and a blob store."""

    def __init__(self, mongo_url: str, blob_url: str) -> None:
        name = f"backup_{uuid4().hex}"
        self.settings = Settings(mongo_url=urlsplit(mongo_url)._replace(path=f"/{name}").geturl(), blob_url=blob_url)
        self.blobs = Blobs.open(blob_url)
        self.client: MongoClient[dict[str, Any]] = MongoClient(mongo_url, tz_aware=True)
        self.database: Database[dict[str, Any]] = self.client[name]

    def fill(self) -> Place:
        self.database["jobs"].insert_many(JOBS + HEAVY)
        self.database["idempotency_keys"].insert_many(KEYS)
        self.database["token_uses"].insert_many(USES)
        self.database["webhooks"].insert_many(ENDPOINTS)
        for key, content in BLOBS.items():
            self.blobs.put(key, content, attributes=HEADERS)
        return self

    def blob_contents(self) -> dict[str, bytes]:
        keys = [f"{folder}/{name}" for folder in self.blobs.list_folders() for name in self.blobs.list_names(folder)]
        return {key: self.blobs.get(key) for key in keys}

    def documents(self) -> dict[str, list[bytes]]:
        """Return all documents, those in collections that nobody knows too."""
        names = self.database.list_collection_names()
        found = {name: sorted(map(encode, self.database[name].find())) for name in names}
        return {name: documents for name, documents in found.items() if documents}


@pytest.fixture(params=["folder", "bucket"])
def blob_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "folder":
        return (tmp_path / "blobs").as_uri()
    url: str = request.getfixturevalue("bucket_url")
    return f"{url}/source"


@pytest.fixture
def elsewhere(mongo_url: str, tmp_path: Path) -> Iterator[Place]:
    place = Place(mongo_url, (tmp_path / "elsewhere").as_uri())
    with place.client:
        yield place
        place.client.drop_database(place.database)


@pytest.fixture
def source(mongo_url: str, blob_url: str) -> Iterator[Place]:
    place = Place(mongo_url, blob_url).fill()
    with place.client:
        yield place
        place.client.drop_database(place.database)


@pytest.fixture(scope="module")
def archive(mongo_url: str, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A complete archive, without what is large."""
    place = Place(mongo_url, tmp_path_factory.mktemp("archive").as_uri()).fill()
    place.blobs.remove("job-2", ["master.1"])
    place.database["jobs"].delete_many({"_id": {"$in": [each["_id"] for each in HEAVY]}})
    stream = io.BytesIO()
    with place.client:
        save(place.settings, stream)
        place.client.drop_database(place.database)
    return stream.getvalue()


def read(content: bytes) -> ArchiveReader:
    return ArchiveReader(io.BytesIO(content))


def test_what_is_restored_is_what_was_saved(source: Place, elsewhere: Place) -> None:
    stream = io.BytesIO()

    saved = save(source.settings, stream)
    restored = restore(elsewhere.settings, read(stream.getvalue()))

    assert saved == restored == verify(read(stream.getvalue())) == COUNTS
    assert elsewhere.documents() == source.documents()
    assert elsewhere.blob_contents() == BLOBS


def test_an_object_store_gets_its_headers_back(mongo_url: str, bucket_url: str) -> None:
    place, other = Place(mongo_url, f"{bucket_url}/one").fill(), Place(mongo_url, f"{bucket_url}/other")
    stream = io.BytesIO()
    with place.client, other.client:
        save(place.settings, stream)
        restore(other.settings, read(stream.getvalue()))

    for key in BLOBS:
        with other.blobs.open_copy(key) as copy:
            assert {name: copy.attributes.get(name) for name in HEADERS} == HEADERS


def test_a_blob_that_is_removed_meanwhile_is_left_out(source: Place) -> None:
    class Removing(io.BytesIO):
        def write(self, data: Any, /) -> int:
            if b"darkroom/blobs/" in bytes(data[:2048]):
                for folder in source.blobs.list_folders():
                    source.blobs.remove_folder(folder)
            return super().write(data)

    stream = Removing()

    counts = save(source.settings, stream)

    assert counts["blobs"] >= 1
    assert counts["blobs"] < len(BLOBS)
    assert verify(read(stream.getvalue())) == counts


def test_an_archive_that_is_cut_off_anywhere_is_refused(archive: bytes) -> None:
    for place, offset in cut_places(archive):
        with pytest.raises(BackupError):
            pytest.fail(f"cut {place} it is {verify(read(archive[:offset]))}")


def test_a_byte_that_differs_anywhere_is_found(archive: bytes) -> None:
    for place, offset in damage_places(archive):
        damaged = bytearray(archive)
        damaged[offset] ^= 0x20

        with pytest.raises(BackupError):
            pytest.fail(f"with damage {place} it is {verify(read(bytes(damaged)))}")


@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
def test_an_archive_that_is_cut_off_leaves_nothing_and_a_good_one_is_restored_then(
    share: float, archive: bytes, elsewhere: Place
) -> None:
    with pytest.raises(BackupError):
        restore(elsewhere.settings, read(archive[: int(len(archive.rstrip(b"\0")) * share)]))

    assert elsewhere.documents() == {}
    assert elsewhere.blob_contents() == {}
    assert restore(elsewhere.settings, read(archive)) == COUNTS | {"jobs": 20, "blobs": 5}


def test_a_restore_that_was_killed_is_begun_anew(archive: bytes, elsewhere: Place) -> None:
    killed = Stores(elsewhere.database, elsewhere.blobs, elsewhere.settings.blob_url)
    killed.prepare()
    killed.add_blob(Member("blobs/other/small.1", 1, io.BytesIO(b"x")))
    killed.add_documents("jobs", iter([encode({"_id": "other"})]))

    restore(elsewhere.settings, read(archive))

    assert elsewhere.documents().keys() == {"jobs", "idempotency_keys", "token_uses", "webhooks"}
    assert elsewhere.database["jobs"].find_one({"_id": "other"}) is None
    assert elsewhere.blob_contents() == {key: BLOBS[key] for key in BLOBS if key != "job-2/master.1"}


def test_a_backup_is_not_restored_over_jobs_or_blobs(archive: bytes, elsewhere: Place) -> None:
    elsewhere.blobs.put("a-job/original", b"x")
    with pytest.raises(NotEmpty):
        restore(elsewhere.settings, read(archive))
    elsewhere.blobs.remove_folder("a-job")
    elsewhere.database["jobs"].insert_one({"_id": "a-job"})
    with pytest.raises(NotEmpty):
        restore(elsewhere.settings, read(archive))

    assert elsewhere.documents() == {"jobs": [encode({"_id": "a-job"})]}


@pytest.mark.parametrize("is_whole", [True, False])
def test_images_of_presets_are_no_hindrance_and_stay(archive: bytes, elsewhere: Place, is_whole: bool) -> None:
    """A gateway stores them when it starts, before there is a job."""
    elsewhere.blobs.put(asset_key("5" * 64), b"logo")

    with nullcontext() if is_whole else pytest.raises(BackupError):
        restore(elsewhere.settings, read(archive if is_whole else archive[: len(archive) // 3]))

    folders = {"job-1", "job-3"} if is_whole else set()
    assert {*elsewhere.blobs.list_folders()} == folders | {"assets"}
    assert elsewhere.blobs.get(asset_key("5" * 64)) == b"logo"


@pytest.mark.parametrize("is_whole", [True, False])
def test_webhooks_of_the_settings_are_no_hindrance_and_stay(source: Place, elsewhere: Place, is_whole: bool) -> None:
    """A gateway inserts them when it starts."""
    stream = io.BytesIO()
    for place in (source, elsewhere):
        place.database["webhooks"].insert_many(FIXED)
    save(source.settings, stream)
    archive = stream.getvalue() if is_whole else stream.getvalue()[:-20_000]

    with nullcontext() if is_whole else pytest.raises(BackupError):
        restore(elsewhere.settings, read(archive))

    restored = ENDPOINTS if is_whole else []
    assert sorted(elsewhere.database["webhooks"].find(), key=lambda each: each["_id"]) == [*restored, *FIXED]


def test_what_was_on_its_way_to_a_webhook_is_not_sent_again(source: Place, elsewhere: Place) -> None:
    source.database["webhook_deliveries"].insert_one({"_id": "event.endpoint", "state": "pending"})
    stream = io.BytesIO()
    save(source.settings, stream)

    restore(elsewhere.settings, read(stream.getvalue()))

    assert elsewhere.database["webhook_deliveries"].find_one() is None


@pytest.mark.parametrize("is_tar", [False, True])
def test_a_backup_of_an_earlier_version_is_restored(is_tar: bool, elsewhere: Place, tmp_path: Path) -> None:
    folder = write_legacy_folder(tmp_path / "darkroom")
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w|") as tar:
        tar.add(folder, "darkroom")

    counts = restore(elsewhere.settings, read(stream.getvalue()) if is_tar else FolderReader(folder))

    assert counts == {"jobs": 2, "idempotency_keys": 0, "token_uses": 0, "webhooks": 0, "blobs": 1}
    assert list(elsewhere.database["jobs"].find()) == LEGACY_DOCUMENTS
    assert elsewhere.blob_contents() == {"old/small.1": b"old"}


def test_an_archive_whose_version_did_not_know_a_collection_is_restored(elsewhere: Place) -> None:
    stream, document = io.BytesIO(), encode({"_id": "old"})
    archive = ArchiveWriter(stream)
    archive.add("documents/jobs/000000.bson", io.BytesIO(document), len(document))
    counts = {"jobs": 1, "idempotency_keys": 0, "blobs": 0}
    archive.finish(Manifest(FORMAT, "1.0", "then", counts, archive.digest.bytes, archive.digest.hexdigest()))

    restored = restore(elsewhere.settings, read(stream.getvalue()))

    assert restored == counts | {"token_uses": 0, "webhooks": 0}
    assert elsewhere.documents() == {"jobs": [document]}


def test_an_archive_of_an_earlier_version_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w|") as tar:
        tar.add(write_legacy_folder(tmp_path / "darkroom"), "darkroom")

    for place, offset in cut_places(stream.getvalue()):
        with pytest.raises(BackupError):
            pytest.fail(f"cut {place} it is {verify(read(stream.getvalue()[:offset]))}")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("darkroom/blobs/job/small.1", tarfile.SYMTYPE),
        ("darkroom/blobs/job/small.1", tarfile.LNKTYPE),
        ("darkroom/documents/admin.bson", tarfile.REGTYPE),
        ("darkroom/blobs/a/b/c", tarfile.REGTYPE),
        ("elsewhere", tarfile.REGTYPE),
    ],
)
def test_a_member_that_no_backup_has_is_refused(name: str, kind: bytes, elsewhere: Place) -> None:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, "/etc/passwd"

    with pytest.raises(BackupError, match="no backup has"):
        restore(elsewhere.settings, read(info.tobuf() + bytes(1024)))


def test_a_name_cannot_lead_out_of_the_blob_store(elsewhere: Place, tmp_path: Path) -> None:
    info = tarfile.TarInfo("darkroom/blobs/../outside")

    with pytest.raises(FileNotFoundError):
        restore(elsewhere.settings, read(info.tobuf() + bytes(1024)))

    assert not (tmp_path / "outside").exists()


def test_a_link_in_a_folder_is_refused(elsewhere: Place, tmp_path: Path) -> None:
    folder = write_legacy_folder(tmp_path / "darkroom")
    (tmp_path / "secret").write_text("a password")
    (folder / "blobs" / "old" / "large.1").symlink_to(tmp_path / "secret")

    with pytest.raises(BackupError, match=r"large\.1 is a link"):
        restore(elsewhere.settings, FolderReader(folder))

    assert elsewhere.blob_contents() == {}
