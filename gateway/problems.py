"""Problems: one table from exceptions to RFC 9457 answers, the framework's own included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from obstore.exceptions import BaseError as BlobStoreError
from pymongo.errors import PyMongoError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from stages.errors import EmptyFile, ImageTooLarge, StageError, UnsupportedFormat
from storage.errors import JobNotFound

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 5
POLL_SECONDS = 1

log = structlog.get_logger("gateway")


class Problem(Exception):
    """An answer that is not a success: status, stable code, sentence, and headers to go with it."""

    status = HTTPStatus.BAD_REQUEST
    code = "bad_request"

    def __init__(self, detail: str, *, headers: Mapping[str, str] | None = None, **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.headers = dict(headers or {})
        self.extra = extra


class NotMultipart(Problem):
    """The body is not multipart/form-data, or is broken."""

    code = "malformed_form"


class NotAcceptedForm(Problem):
    """The form is well-formed but not what this route takes."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "invalid_form"


class FileMissing(NotAcceptedForm):
    """The form has no file."""

    code = "file_missing"


class TooManyParts(NotAcceptedForm):
    """The form has more parts than any route takes."""

    code = "too_many_parts"


class DigestMismatch(Problem):
    """The body is not the one that its digest was made of."""

    code = "digest_mismatch"


class InvalidHeader(Problem):
    """A header cannot be read."""

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
    """The source job keeps no original any more."""

    status = HTTPStatus.CONFLICT
    code = "source_gone"


class InvalidCursor(Problem):
    """The cursor of a list is not one that was handed out."""

    code = "invalid_cursor"


class NotRetryable(Problem):
    """The job is not one that can be tried again."""

    status = HTTPStatus.CONFLICT
    code = "not_retryable"


class Overloaded(Problem):
    """The queues are longer than they may be."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "overloaded"


class TooManyFiles(NotAcceptedForm):
    """The form has more than one file."""

    code = "too_many_files"


class BodyTooLarge(Problem):
    """The body, or the file in it, is over the limit."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    code = "upload_too_large"


class NotReady(Problem):
    """The result is not there yet."""

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
    """The result was there and is gone."""

    status = HTTPStatus.GONE
    code = "expired"


class RangeNotSatisfiable(Problem):
    """The range lies outside the bytes."""

    status = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
    code = "range_not_satisfiable"


REFUSALS: dict[type[StageError], HTTPStatus] = {
    EmptyFile: HTTPStatus.UNPROCESSABLE_ENTITY,
    UnsupportedFormat: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    ImageTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    StageError: HTTPStatus.UNPROCESSABLE_ENTITY,
}


def install(app: FastAPI) -> None:
    """Answer every exception that a route may raise."""
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(StageError, _refused)
    app.add_exception_handler(JobNotFound, _unknown)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _framework)
    for error in (PyMongoError, BlobStoreError, OSError):
        app.add_exception_handler(error, _unavailable)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, _broken)


def answer(
    status: int,
    code: str,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    errors: Sequence[Mapping[str, Any]] = (),
    **extra: Any,
) -> JSONResponse:
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
    return JSONResponse(body, status_code=status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


async def _problem(_: Request, error: Any) -> JSONResponse:
    return answer(error.status, error.code, error.detail, headers=error.headers, **error.extra)


async def _refused(_: Request, error: Any) -> JSONResponse:
    status = next(REFUSALS[kind] for kind in type(error).__mro__ if kind in REFUSALS)
    return answer(status, error.code, error.message, errors=[asdict(rule) for rule in error.errors])


async def _unknown(_: Request, error: Any) -> JSONResponse:
    return answer(HTTPStatus.NOT_FOUND, "job_not_found", f"No job has the id {error.job_id!r}.")


async def _invalid(_: Request, error: Any) -> JSONResponse:
    errors = [
        {
            "pointer": "/" + "/".join(str(part) for part in item["loc"]),
            "message": item["msg"],
            "rule": item["type"],
        }
        for item in error.errors()
    ]
    return answer(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "invalid_request",
        "The request breaks some rules.",
        errors=errors,
    )


async def _framework(_: Request, error: Any) -> JSONResponse:
    phrase = HTTPStatus(error.status_code).phrase
    code = phrase.lower().replace(" ", "_").replace("-", "_")
    return answer(error.status_code, code, str(error.detail), headers=error.headers)


async def _unavailable(request: Request, error: Exception) -> JSONResponse:
    log.warning("dependency.failed", path=request.url.path, error=repr(error))
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
    detail = "A store that this needs does not answer. Nothing was accepted; try again."
    return answer(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", detail, headers=headers)


async def _gone(request: Request, _: Exception) -> JSONResponse:
    log.info("client.gone", path=request.url.path)
    return answer(HTTPStatus.BAD_REQUEST, "client_gone", "The connection closed before the body was complete.")


async def _broken(request: Request, error: Exception) -> JSONResponse:
    log.error("request.broken", path=request.url.path, exc_info=error)
    return answer(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "internal_error",
        "Something is wrong on our side.",
    )
