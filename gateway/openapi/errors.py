"""The errors in the OpenAPI document: which statuses a route answers, and the one schema that they share."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from gateway.openapi.headers import answer_headers
from gateway.problems import MEDIA_TYPE

ERRORS: dict[int, str] = {
    400: "The request is malformed: a header, the form, the cursor or a digest.",
    401: "The API key is missing or wrong, where keys are set.",
    403: "A page of another origin sent the request.",
    404: "There is no such job or rendition, or it belongs to another API key.",
    408: "The body came too slowly.",
    409: "The state of the job does not allow this; or an equal `Idempotency-Key` is in use.",
    410: "The result is no longer kept.",
    412: "A condition in the headers does not hold.",
    413: "The body or the file is too large.",
    415: "The body is no form, or the file is no image in an accepted format.",
    416: "The range is outside the result.",
    421: "The gateway does not serve the host that the request names.",
    422: "The request breaks the rules that `errors` lists.",
    429: "The rate limit is exceeded. Send the request again after the time in `Retry-After`.",
    500: "The gateway failed unexpectedly.",
    503: "A store does not answer, or a limit is reached. Send the request again after the time in `Retry-After`.",
    504: "A store has not answered, but may have acted. Look at the job before you repeat the request.",
}
HEADERS: dict[int, tuple[str, ...]] = {
    401: ("WWW-Authenticate",),
    409: ("Retry-After",),
    412: ("ETag",),
    416: ("Content-Range",),
    429: ("Retry-After", "RateLimit", "RateLimit-Policy"),
    503: ("Retry-After",),
}
CONTENT: dict[str, Any] = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return references to errors, for `responses` of a route."""
    return {status: {"$ref": f"#/components/responses/{_name(status)}"} for status in statuses}


def describe_errors() -> dict[str, Any]:
    """Return `components.responses`."""
    return {
        _name(status): {
            "description": text,
            "headers": answer_headers("X-Request-ID", *HEADERS.get(status, ())),
            "content": CONTENT,
        }
        for status, text in ERRORS.items()
    }


def _name(status: int) -> str:
    """Return the name of an error, such as `NotFound`."""
    return "".join(word.capitalize() for word in HTTPStatus(status).name.split("_"))
