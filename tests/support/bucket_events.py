"""Events of buckets as their senders write them: AWS, SNS, EventBridge, MinIO and SeaweedFS."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any
from urllib.parse import quote_plus

TIME = "2026-11-30T21:05:21.158Z"
TIME_MS = 1796072721158
ETAG = "a6bb7bde3251ca2d810d32dadd9e8ae7"


def aws_record(key: str = "shop/cat.jpg", *, bucket: str = "incoming", **changes: Any) -> dict[str, Any]:
    """Return one of `Records`; `changes` are `event`, `time` and fields of the object."""
    event, time = changes.pop("event", "ObjectCreated:Put"), changes.pop("time", TIME)
    found = {"key": quote_plus(key, safe="/"), "size": 5000, "eTag": ETAG, "sequencer": "0061A54E51096C5B"} | changes
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "eu-central-1",
        "eventTime": time,
        "eventName": event,
        "userIdentity": {"principalId": "AWS:AIDAEXAMPLE"},
        "requestParameters": {"sourceIPAddress": "203.0.113.7"},
        "responseElements": {"x-amz-request-id": "C3D13FE58DE4C810", "x-amz-id-2": "FMyUVURIY8"},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "photos",
            "bucket": {
                "name": bucket,
                "ownerIdentity": {"principalId": "A3NL1KOZZKExample"},
                "arn": f"arn:aws:s3:::{bucket}",
            },
            "object": found,
        },
    }


def aws(*records: dict[str, Any]) -> dict[str, Any]:
    return {"Records": list(records or (aws_record(),))}


def sns(message: Any, kind: str = "Notification") -> dict[str, Any]:
    """Return an envelope of SNS, whose message is a text."""
    return {
        "Type": kind,
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": "arn:aws:sns:eu-central-1:123456789012:photos",
        "Subject": "Amazon S3 Notification",
        "Message": message if isinstance(message, str) else json.dumps(message),
        "Timestamp": TIME,
        "SignatureVersion": "1",
        "Signature": "EXAMPLEpH+",
        "SigningCertURL": "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService.pem",
        "UnsubscribeURL": "https://sns.eu-central-1.amazonaws.com/?Action=Unsubscribe",
    }


def eventbridge(key: str = "shop/cat.jpg", *, bucket: str = "incoming", **changes: Any) -> dict[str, Any]:
    """Return an event of EventBridge; `changes` are `kind` and fields of the object."""
    kind = changes.pop("kind", "Object Created")
    found = {"key": key, "size": 5000, "etag": ETAG, "sequencer": "61A54E51096C5B"} | changes
    return {
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": kind,
        "source": "aws.s3",
        "account": "123456789012",
        "time": "2026-11-30T21:05:21Z",
        "region": "eu-central-1",
        "resources": [f"arn:aws:s3:::{bucket}"],
        "detail": {
            "version": "0",
            "bucket": {"name": bucket},
            "object": found,
            "request-id": "N4N7GDK58NMKJ12R",
            "requester": "123456789012",
            "source-ip-address": "203.0.113.7",
            "reason": "PutObject",
        },
    }


def minio_record(key: str = "shop/cat.jpg", *, event: str = "s3:ObjectCreated:Put", **changes: Any) -> dict[str, Any]:
    record = aws_record(key, event=event, sequencer="18B0C8F2E4D1A3B5", **changes)
    return record | {"eventSource": "minio:s3", "source": {"host": "10.0.0.9", "port": "", "userAgent": "MinIO"}}


def minio(key: str = "shop/cat.jpg", **changes: Any) -> dict[str, Any]:
    """Return what MinIO posts to a webhook."""
    record = minio_record(key, **changes)
    bucket = record["s3"]["bucket"]["name"]
    return {"EventName": record["eventName"], "Key": f"{bucket}/{key}", "Records": [record]}


def minio_redis(*records: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what MinIO pushes to a Redis list, in the format `access`."""
    return [{"Event": list(records or (minio_record(),)), "EventTime": TIME}]


def seaweed(key: str = "shop/cat.jpg", *, bucket: str = "incoming", **changes: Any) -> dict[str, Any]:
    """Return what SeaweedFS posts; `changes` are `event`, `written_ns`, `path`, and fields of the entry."""
    event, written_ns = changes.pop("event", "create"), changes.pop("written_ns", 1796072721158616569)
    path = changes.pop("path", f"/buckets/{bucket}/{key}")
    parent, _, name = path.rpartition("/")
    extended = {"Seaweed-X-Amz-ETag": encode(ETAG), "Seaweed-X-Amz-Owner": encode("shop")}
    entry: dict[str, Any] = {
        "name": name,
        "chunks": [{"size": 5000, "modified_ts_ns": written_ns, "e_tag": "prt73jJRyi2BDTLa3Z6K5w=="}],
        "attributes": {"file_size": 5000, "mtime": written_ns // 10**9, "file_mode": 432, "mime": "image/jpeg"},
    }
    entry |= changes
    entry["extended"] = extended | entry.get("extended", {})
    message = {"new_entry": entry, "delete_chunks": True, "new_parent_path": parent, "signatures": [1575911478]}
    return {"key": path, "event_type": event, "message": message}


def seaweed_version(key: str, version: str, **changes: Any) -> dict[str, Any]:
    """Return what SeaweedFS posts of an object in a bucket that keeps versions."""
    path = f"/buckets/incoming/{key}.versions/v_{version}"
    return seaweed(path=path, extended={"Seaweed-X-Amz-Version-Id": encode(version)}, **changes)


def encode(text: str) -> str:
    return b64encode(text.encode()).decode()
