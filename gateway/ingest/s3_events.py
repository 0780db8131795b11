"""Event notifications of S3: the records that AWS, MinIO and Ceph send, and the events of EventBridge."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote_plus

from pydantic import BaseModel, Field, ValidationError

from gateway.ingest.object_events import EventMalformed, ObjectEvent, read_sequencer, read_time_ms, read_version

CREATED = "ObjectCreated:"
WITHOUT_BYTES = ("Retention", "LegalHold", "Tagging")
"""Parts of the names of MinIO's `ObjectCreated` events that change no bytes, such as `ObjectCreated:PutTagging`."""
EVENTBRIDGE_CREATED = "Object Created"


class _Bucket(BaseModel):
    name: str


class _RecordedObject(BaseModel):
    key: str
    size: int | None = Field(None, ge=0)
    etag: str | None = Field(None, alias="eTag")
    version: str | None = Field(None, alias="versionId")
    sequencer: str | None = None


class _S3(BaseModel):
    bucket: _Bucket
    object: _RecordedObject


class _Record(BaseModel):
    name: str = Field(alias="eventName")
    time: str | None = Field(None, alias="eventTime")
    s3: _S3


class _DetailedObject(BaseModel):
    key: str
    size: int | None = Field(None, ge=0)
    etag: str | None = None
    version: str | None = Field(None, alias="version-id")
    sequencer: str | None = None


class _Detail(BaseModel):
    bucket: _Bucket
    object: _DetailedObject


class _EventBridge(BaseModel):
    name: str = Field(alias="detail-type")
    time: str | None = None
    detail: _Detail


def read_record(body: Any) -> ObjectEvent:
    """Read one of `Records`. Its key is encoded as in a form: a space is `+`. Raises `EventMalformed`."""
    try:
        record = _Record.model_validate(body)
        key = unquote_plus(record.s3.object.key, errors="strict")
    except ValidationError as error:
        raise EventMalformed(_describe(error)) from None
    except UnicodeDecodeError:
        raise EventMalformed("s3.object.key is not the encoding of a text in UTF-8.") from None
    return _build(record.name, record.time, record.s3.bucket.name, key, record.s3.object, is_new=_is_new(record.name))


def read_eventbridge(body: Any) -> ObjectEvent:
    """Read an event of EventBridge. Its key is as it is. Raises `EventMalformed`."""
    try:
        event = _EventBridge.model_validate(body)
    except ValidationError as error:
        raise EventMalformed(_describe(error)) from None
    is_new, there = event.name == EVENTBRIDGE_CREATED, event.detail
    return _build(event.name, event.time, there.bucket.name, there.object.key, there.object, is_new=is_new)


def _build(
    name: str, time: str | None, bucket: str, key: str, found: _RecordedObject | _DetailedObject, *, is_new: bool
) -> ObjectEvent:
    return ObjectEvent(
        name=name,
        bucket=bucket,
        key=key,
        is_new=is_new,
        is_folder=key.endswith("/"),
        size=found.size,
        etag=(found.etag or "").strip('"'),
        version=read_version(found.version),
        sequencer=read_sequencer(found.sequencer),
        time_ms=read_time_ms(time),
    )


def _is_new(name: str) -> bool:
    kind = name.removeprefix("s3:")
    return kind.startswith(CREATED) and not any(part in kind for part in WITHOUT_BYTES)


def _describe(error: ValidationError) -> str:
    """Return the first rule that an event breaks, without what the event has there."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'The event'}: {first['msg']}."
