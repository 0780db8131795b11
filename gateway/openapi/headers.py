"""The parameters and headers of the OpenAPI document, each described once."""

from __future__ import annotations

from typing import Any

from gateway.submission.submission import MAX_KEY_LENGTH

TEXT = {"type": "string"}
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
    "X-Request-ID": ("An id of this request for logs. The answer has the same, or another if this is unusual.", TEXT),
}
"""What each header of a request does, and its schema."""

PATH_PARAMETERS = {
    "task_id": "The id of the job.",
    "rendition": "The name of the rendition: that of a preview, or `output` for an operation.",
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
    "Location": ("Where to continue.", TEXT | {"format": "uri-reference"}),
    "RateLimit": ("What is left of the rate limit, where one is set.", TEXT),
    "RateLimit-Policy": ("The rate limit, where one is set.", TEXT),
    "Repr-Digest": ("SHA-256 of the whole result (RFC 9530).", DIGEST),
    "Retry-After": ("How many seconds to wait before the next request.", SECONDS),
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


def describe_parameters() -> dict[str, Any]:
    """Return `components.parameters`."""
    return {
        name: {"in": "header", "name": name, "required": False, "description": text, "schema": schema}
        for name, (text, schema) in REQUEST_HEADERS.items()
    }


def describe_headers() -> dict[str, Any]:
    """Return `components.headers`."""
    return {name: {"description": text, "schema": schema} for name, (text, schema) in ANSWER_HEADERS.items()}
