"""The parameters and headers of the OpenAPI document, each described once."""

from __future__ import annotations

from typing import Any

from gateway.resumable.protocol import VERSION
from gateway.submission.key_lease import MAX_KEY_LENGTH
from stages.limits import Limits

TEXT = {"type": "string"}
BYTES = {"type": "integer", "minimum": 0}
TUS_VERSION = {"type": "string", "enum": [VERSION]}
SECONDS = {"type": "integer", "minimum": 0, "maximum": 86400}
DIGEST = TEXT | {"examples": ["sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"]}

REQUEST_HEADERS: dict[str, tuple[str, dict[str, Any]]] = {
    "Content-Digest": ("SHA-256 of the whole body (RFC 9530). If it does not match, the answer is 400.", DIGEST),
    "Idempotency-Key": (
        "A name of this request, made by the client. A request that repeats it gets the earlier job.",
        TEXT | {"minLength": 1, "maxLength": MAX_KEY_LENGTH},
    ),
    "If-Match": ("Answer 412 unless this is `*` or lists the current strong `ETag`.", TEXT),
    "If-None-Match": ("Answer 304 if this is `*` or lists the current `ETag`.", TEXT),
    "If-Range": ("Ignore `Range` unless this is the current `ETag`.", TEXT),
    "Range": ("The bytes to send, such as `bytes=0-1023`. Only one range.", TEXT),
    "Tus-Resumable": ("The version of the protocol.", TUS_VERSION),
    "Upload-Checksum": (
        "Checksum of the body: `sha1` or `sha256`, then BASE64. If it differs, the answer is 460.",
        TEXT,
    ),
    "Upload-Length": ("The size of the file in bytes.", BYTES | {"minimum": 1}),
    "Upload-Metadata": (
        "Fields of the form, `filename` and `operation`: each name, a space, the value in BASE64.",
        TEXT,
    ),
    "Upload-Offset": ("Where the body begins in the file.", BYTES),
    "X-Request-ID": ("An id of this request for logs. The answer has the same, or another if this is unusual.", TEXT),
}
"""What each header of a request does, and its schema."""

REQUIRED = frozenset({"Tus-Resumable", "Upload-Length", "Upload-Offset"})

PATH_PARAMETERS = {
    "task_id": "The id of the job.",
    "preset": "The name of the preset.",
    "bulk_id": "The id of the bulk action.",
    "webhook_id": "The id of the webhook.",
    "delivery_id": "The id of the delivery.",
    "rendition": "The name of the rendition: that of a preview, or `output` for an operation. A density and a format "
    "may follow it: `card@2x`, `card.jpg`, `card@2x.avif`.",
    "file": "The name of a rendition of the preset, its density unless that is 1, and the format: `card@2x.avif`.",
}

ANSWER_HEADERS: dict[str, tuple[str, dict[str, Any]]] = {
    "Accept-Ranges": ("`bytes`: `Range` is supported.", {"type": "string", "enum": ["bytes"]}),
    "Cache-Control": ("How long, and by whom, the answer may be stored.", TEXT),
    "Content-Disposition": ("The file name to save the result under (RFC 6266).", TEXT),
    "Content-Range": ("Which bytes are sent, and how many there are.", TEXT),
    "ETag": ("The version of what is sent, for `If-None-Match`, `If-Match` and `If-Range`.", TEXT),
    "Idempotency-Replayed": (
        "The `Idempotency-Key` was used before: this is the earlier job.",
        {"type": "string", "enum": ["true"]},
    ),
    "Link": ("The status and the result of the job, once the upload is complete.", TEXT),
    "Location": ("Where to continue.", TEXT | {"format": "uri-reference"}),
    "RateLimit": ("What is left of the rate limit, where one is set.", TEXT),
    "RateLimit-Policy": ("The rate limit, where one is set.", TEXT),
    "Repr-Digest": ("SHA-256 of the whole result (RFC 9530).", DIGEST),
    "Retry-After": ("How many seconds to wait before the next request.", SECONDS),
    "Task-ID": ("The id of the job, once the upload is complete.", TEXT),
    "Tus-Resumable": ("The version of the protocol.", TUS_VERSION),
    "Tus-Version": ("The versions of the protocol that are supported.", TEXT),
    "Upload-Expires": ("When the upload is removed if nothing more arrives.", TEXT),
    "Upload-Length": ("The size of the file in bytes.", BYTES),
    "Upload-Metadata": ("What the upload was created with.", TEXT),
    "Upload-Offset": ("How many bytes are stored.", BYTES),
    "Vary": ("`Accept`, if another one could get the result in another format.", TEXT),
    "View-Token": ("A token that reads the job, if the owner has a signing secret.", TEXT),
    "WWW-Authenticate": ("How to send a key.", TEXT),
    "X-Request-ID": ("The id of the request. Its log lines have it too.", TEXT),
}
"""What each header of an answer says, and its schema."""


def answer_headers(*names: str) -> dict[str, Any]:
    """Return references to headers, for `headers` of an answer."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def request_headers(*names: str) -> list[dict[str, Any]]:
    """Return references to headers, for `parameters` of a route."""
    return [{"$ref": f"#/components/parameters/{name}"} for name in names]


def describe_parameters(limits: Limits) -> dict[str, Any]:
    """Return `components.parameters`."""
    parameters: dict[str, dict[str, Any]] = {
        name: {"in": "header", "name": name, "required": name in REQUIRED, "description": text, "schema": dict(schema)}
        for name, (text, schema) in REQUEST_HEADERS.items()
    }
    parameters["Upload-Length"]["schema"] |= {"maximum": limits.upload_bytes}
    return parameters


def describe_headers() -> dict[str, Any]:
    """Return `components.headers`."""
    return {name: {"description": text, "schema": schema} for name, (text, schema) in ANSWER_HEADERS.items()}
