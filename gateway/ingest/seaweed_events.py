"""Event notifications of SeaweedFS: what its filer sends to a webhook about files, some of which are objects.

A bucket is a folder below `/buckets`. The parts of a multipart upload are files in the bucket's folder `.uploads`. In a
bucket with versioning, each version of `photo.jpg` is a file of its own, `photo.jpg.versions/v_ID`.
"""

from __future__ import annotations

import re
from base64 import b64decode
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from gateway.ingest.object_events import EventMalformed, ObjectEvent, read_version

BUCKETS = re.compile(r"/buckets/([^/]+)/(.+)", re.DOTALL)
UPLOADS = ".uploads/"
VERSION_FILE = re.compile(r"(.+)\.versions/v_[^/]+", re.DOTALL)
ETAG, VERSION = "Seaweed-X-Amz-ETag", "Seaweed-X-Amz-Version-Id"
NEW_BYTES = frozenset({"create", "update", "rename"})


class _Chunk(BaseModel):
    modified_ts_ns: int = 0


class _Attributes(BaseModel):
    file_size: int | None = Field(None, ge=0)
    mtime: int = 0
    mtime_ns: int = 0


class _Entry(BaseModel):
    name: str
    is_directory: bool = False
    attributes: _Attributes = _Attributes()
    extended: dict[str, str] = {}
    chunks: list[_Chunk] = []

    @property
    def modified_ns(self) -> int:
        """When its bytes were written: the time of its newest chunk, which later changes of its attributes keep."""
        seconds = self.attributes.mtime
        return max((chunk.modified_ts_ns for chunk in self.chunks), default=seconds * 10**9 + self.attributes.mtime_ns)

    def read_extended(self, name: str) -> str:
        """Return an extended attribute as text; empty without it."""
        try:
            return b64decode(self.extended.get(name, ""), validate=True).decode()
        except ValueError:
            return ""


class _Message(BaseModel):
    new_entry: _Entry | None = None
    new_parent_path: str = ""


class _Notification(BaseModel):
    key: str
    event_type: str
    message: _Message


def read_seaweed(body: Any) -> ObjectEvent:
    """Read what the filer of SeaweedFS sends. Its paths are as they are. Raises `EventMalformed`.

    `key` is the path before a rename, so the new path is made of the new entry.
    """
    try:
        found = _Notification.model_validate(body)
    except ValidationError:
        raise EventMalformed("It has not the form of a notification of SeaweedFS.") from None
    entry, path = found.message.new_entry, found.key
    if entry is not None and found.message.new_parent_path:
        path = f"{found.message.new_parent_path.rstrip('/')}/{entry.name}"
    parts = BUCKETS.fullmatch(path)
    if parts is None:
        raise EventMalformed("The path is not that of an object below /buckets.")
    bucket, key = parts.groups()
    if entry is None:
        return ObjectEvent(name=found.event_type, bucket=bucket, key=key, is_new=False)
    return _build(found.event_type, bucket, key, entry)


def _build(name: str, bucket: str, path: str, entry: _Entry) -> ObjectEvent:
    version, file = read_version(entry.read_extended(VERSION)), VERSION_FILE.fullmatch(path)
    return ObjectEvent(
        name=name,
        bucket=bucket,
        key=file[1] if file and version else path,
        is_new=name in NEW_BYTES and not path.startswith(UPLOADS),
        is_folder=entry.is_directory,
        size=entry.attributes.file_size,
        etag=entry.read_extended(ETAG),
        version=version,
        sequencer=f"{entry.modified_ns:x}" if entry.modified_ns > 0 else "",
        time_ms=max(0, entry.modified_ns // 10**6),
    )
