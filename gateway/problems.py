"""Problems: the API's error answers, as RFC 9457 documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi.responses import JSONResponse
from starlette.types import Receive, Scope, Send
from structlog.contextvars import get_contextvars

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 5
POLL_SECONDS = 1


class Problem(Exception):
    """An error answer: its status, its stable code, a sentence for a person, and extra headers."""

    status = HTTPStatus.BAD_REQUEST
    code = "bad_request"

    def __init__(self, detail: str, *, headers: Mapping[str, str] | None = None, **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.headers = dict(headers or {})
        self.extra = extra


class MalformedForm(Problem):
    """The body is not multipart/form-data, or is malformed."""

    code = "malformed_form"


class InvalidForm(Problem):
    """The form is well-formed, but breaks a rule of this route."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "invalid_form"


class FileMissing(InvalidForm):
    """The form has no file."""

    code = "file_missing"


class TooManyParts(InvalidForm):
    """The form has more parts than any route takes."""

    code = "too_many_parts"


class DigestMismatch(Problem):
    """The body, or a part of it, does not match its Content-Digest."""

    code = "digest_mismatch"


class InvalidHeader(Problem):
    """A header is malformed."""

    code = "invalid_header"


class KeyInUse(Problem):
    """A request with the same Idempotency-Key is still being received."""

    status = HTTPStatus.CONFLICT
    code = "idempotency_key_in_use"


class KeyReused(Problem):
    """The Idempotency-Key was used for another request."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "idempotency_key_reused"


class SourceGone(Problem):
    """The original of the source job is no longer kept."""

    status = HTTPStatus.CONFLICT
    code = "source_gone"


class InvalidCursor(Problem):
    """The cursor of a list is not valid."""

    code = "invalid_cursor"


class NotRetryable(Problem):
    """The job cannot be retried."""

    status = HTTPStatus.CONFLICT
    code = "not_retryable"


class Overloaded(Problem):
    """A queue has reached its maximum length."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "overloaded"


class TooManyFiles(InvalidForm):
    """The form has more than one file."""

    code = "too_many_files"


class BodyTooLarge(Problem):
    """The body, or the file in it, is larger than the limit."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    code = "upload_too_large"


class NotReady(Problem):
    """The result is not ready yet."""

    status = HTTPStatus.CONFLICT
    code = "not_ready"


class NoResult(Problem):
    """The job ended without a result."""

    status = HTTPStatus.CONFLICT
    code = "job_failed"


class RenditionNotFound(Problem):
    """The job has no rendition of this name."""

    status = HTTPStatus.NOT_FOUND
    code = "rendition_not_found"


class Expired(Problem):
    """The result is no longer kept."""

    status = HTTPStatus.GONE
    code = "expired"


class RangeNotSatisfiable(Problem):
    """The range is outside the result."""

    status = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
    code = "range_not_satisfiable"


class ProblemResponse(JSONResponse):
    """A problem document. It puts its code into the request's state, where AccessLog reads it to log and count it."""

    def __init__(self, content: dict[str, Any], **options: Any) -> None:
        super().__init__(content, **options)
        self._code = content["code"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Put the code into the state, then send the document."""
        scope.setdefault("state", {})["problem"] = self._code
        await super().__call__(scope, receive, send)


def build_response(
    status: int,
    code: str,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    errors: Sequence[Mapping[str, Any]] = (),
    **extra: Any,
) -> ProblemResponse:
    """Build one problem document (RFC 9457, section 3)."""
    body: dict[str, Any] = {
        "type": f"urn:darkroom:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "code": code,
        "detail": detail,
        **extra,
    }
    if errors:
        body["errors"] = list(errors)
    response_headers = dict(headers or {})
    if request_id := get_contextvars().get("request_id"):  # to find the request in the logs
        body["request_id"] = response_headers["X-Request-ID"] = request_id
    return ProblemResponse(body, status_code=status, headers=response_headers, media_type=MEDIA_TYPE)
