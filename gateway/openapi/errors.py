"""The errors in the OpenAPI document: which statuses a route answers, and the one schema that they share."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, NamedTuple

from gateway.openapi.headers import answer_headers
from gateway.problems import MEDIA_TYPE, TITLES

SCHEMA = {"$ref": "#/components/schemas/ProblemDocument"}


class Error(NamedTuple):
    """What the document says of a status: a name, the code in its example, when it is answered, and its headers."""

    name: str
    code: str
    text: str
    headers: tuple[str, ...] = ()


ERRORS = {
    400: Error("BadRequest", "malformed_form", "The request is malformed: a header, the form, the cursor or a digest."),
    401: Error("Unauthorized", "unauthorized", "The API key or token is missing or wrong.", ("WWW-Authenticate",)),
    403: Error("Forbidden", "cross_site", "A page of another origin sent the request, or the token does not allow it."),
    404: Error(
        "NotFound",
        "job_not_found",
        "There is no such job, rendition, upload, bulk action, webhook or delivery, or it is of another API key or "
        "token.",
    ),
    408: Error("RequestTimeout", "body_timeout", "The body came too slowly."),
    409: Error(
        "Conflict",
        "not_ready",
        "The job, the webhook or an equal `Idempotency-Key` is in another state, or there are too many.",
        ("Retry-After",),
    ),
    410: Error("Gone", "expired", "The result is no longer kept."),
    412: Error(
        "PreconditionFailed",
        "precondition_failed",
        "A condition in the headers does not hold, or `Tus-Resumable` is missing.",
        ("ETag", "Tus-Version"),
    ),
    413: Error("ContentTooLarge", "upload_too_large", "The body or the image is too large."),
    415: Error("UnsupportedMediaType", "unsupported_format", "The file is not an image in an accepted format."),
    416: Error("RangeNotSatisfiable", "range_not_satisfiable", "The range is outside the result.", ("Content-Range",)),
    421: Error("MisdirectedRequest", "host_not_allowed", "The gateway does not serve the host of the request."),
    422: Error("UnprocessableContent", "invalid_form", "The request breaks the rules that `errors` lists."),
    429: Error(
        "TooManyRequests",
        "rate_limited",
        "The rate limit is exceeded. Send the request again after the time in `Retry-After`.",
        ("Retry-After", "RateLimit", "RateLimit-Policy"),
    ),
    460: Error("ChecksumMismatch", "checksum_mismatch", "The body does not match `Upload-Checksum`."),
    500: Error("InternalServerError", "internal_error", "The gateway failed unexpectedly."),
    503: Error(
        "ServiceUnavailable",
        "overloaded",
        "A store does not answer, or a limit is reached. Send the request again after the time in `Retry-After`.",
        ("Retry-After",),
    ),
    504: Error(
        "GatewayTimeout",
        "outcome_unknown",
        "A store has not answered, but may have acted. Look at the job before you repeat the request.",
    ),
}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return references to errors, for `responses` of a route."""
    return {status: {"$ref": f"#/components/responses/{ERRORS[status].name}"} for status in statuses}


def describe_errors() -> dict[str, Any]:
    """Return `components.responses`."""
    return {
        error.name: {
            "description": error.text,
            "headers": answer_headers("X-Request-ID", *error.headers),
            "content": error_content(status),
        }
        for status, error in ERRORS.items()
    }


def error_content(status: int) -> dict[str, Any]:
    """Return the problem document as `content` of an answer, with an example."""
    example = {
        "type": f"urn:darkroom:problem:{ERRORS[status].code}",
        "title": TITLES.get(status) or HTTPStatus(status).phrase,
        "status": status,
        "code": ERRORS[status].code,
        "detail": ERRORS[status].text.replace("`", ""),
    }
    return {MEDIA_TYPE: {"schema": SCHEMA, "example": example}}
