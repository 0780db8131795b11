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


TITLES = {460: "Checksum Mismatch"}
"""Titles of statuses that HTTP does not define."""


class Problem(Exception):
    """An error answer: its status, its stable code, a sentence for a person, and extra headers."""

    status: int = HTTPStatus.BAD_REQUEST
    code = "bad_request"

    def __init_subclass__(cls, *, code: str, status: int | None = None) -> None:
        cls.code, cls.status = code, status or cls.status

    def __init__(self, detail: str, *, headers: Mapping[str, str] | None = None, **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.headers = dict(headers or {})
        self.extra = extra


class MalformedForm(Problem, code="malformed_form"):
    """The form is malformed."""


class UnsupportedMediaType(Problem, status=HTTPStatus.UNSUPPORTED_MEDIA_TYPE, code="unsupported_media_type"):
    """The body has another media type than the route takes."""


class PreconditionFailed(Problem, status=HTTPStatus.PRECONDITION_FAILED, code="precondition_failed"):
    """A condition in the headers does not hold."""


class InvalidForm(Problem, status=HTTPStatus.UNPROCESSABLE_ENTITY, code="invalid_form"):
    """The form is well-formed, but breaks a rule of this route."""


class InvalidRequest(Problem, status=HTTPStatus.UNPROCESSABLE_ENTITY, code="invalid_request"):
    """The JSON body is well-formed, but breaks a rule of this route."""


class FileMissing(InvalidForm, code="file_missing"):
    """The form has no file."""


class TooManyParts(InvalidForm, code="too_many_parts"):
    """The form has more parts than any route takes."""


class DigestMismatch(Problem, code="digest_mismatch"):
    """The body, or a part of it, does not match its Content-Digest."""


class InvalidHeader(Problem, code="invalid_header"):
    """A header is malformed."""


class KeyInUse(Problem, status=HTTPStatus.CONFLICT, code="idempotency_key_in_use"):
    """A request with the same Idempotency-Key is still being received."""


class KeyReused(Problem, status=HTTPStatus.UNPROCESSABLE_ENTITY, code="idempotency_key_reused"):
    """The Idempotency-Key was used for another request."""


class SourceGone(Problem, status=HTTPStatus.CONFLICT, code="source_gone"):
    """The original of the source job is no longer kept."""


class SourceNotAllowed(Problem, status=HTTPStatus.FORBIDDEN, code="source_not_allowed"):
    """The object is in no bucket that the API key may use."""


class UploadGone(Problem, status=HTTPStatus.SERVICE_UNAVAILABLE, code="upload_gone"):
    """The blob of the upload was removed before its job could be inserted."""


class InvalidCursor(Problem, code="invalid_cursor"):
    """The cursor of a list is not valid."""


class NotRetryable(Problem, status=HTTPStatus.CONFLICT, code="not_retryable"):
    """The job cannot be retried."""


class NotReprocessable(Problem, status=HTTPStatus.CONFLICT, code="not_reprocessable"):
    """The job cannot be processed again in its state."""


class Overloaded(Problem, status=HTTPStatus.SERVICE_UNAVAILABLE, code="overloaded"):
    """A queue has reached its maximum length."""


class StorageFull(Problem, status=HTTPStatus.SERVICE_UNAVAILABLE, code="storage_full"):
    """The disk with the blobs has no room for an upload.

    Not 507: clients must not repeat a request after it by themselves (RFC 4918, section 11.5), but space comes back.
    """


class TooManyFiles(InvalidForm, code="too_many_files"):
    """The form has more than one file."""


class BodyTooLarge(Problem, status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE, code="upload_too_large"):
    """The body, or the file in it, is larger than the limit."""


class NotReady(Problem, status=HTTPStatus.CONFLICT, code="not_ready"):
    """The result is not ready yet."""


class NoResult(Problem, status=HTTPStatus.CONFLICT, code="job_failed"):
    """The job ended without a result."""


class RenditionNotFound(Problem, status=HTTPStatus.NOT_FOUND, code="rendition_not_found"):
    """The job has no rendition of this name."""


class PresetNotFound(Problem, status=HTTPStatus.NOT_FOUND, code="preset_not_found"):
    """There is no preset of this name, or the caller may not use it."""


class PresetsMissing(Problem, status=HTTPStatus.SERVICE_UNAVAILABLE, code="presets_not_ready"):
    """The presets of the file are not in force yet."""


class Expired(Problem, status=HTTPStatus.GONE, code="expired"):
    """The result is no longer kept."""


class RangeNotSatisfiable(Problem, status=HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, code="range_not_satisfiable"):
    """The range is outside the result."""


class MalformedRequest(Problem, code="malformed_request"):
    """The request breaks HTTP's own rules, so where it ends is not certain."""


class HeadersTooLarge(Problem, status=HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, code="headers_too_large"):
    """The request line and the headers are larger than the limit."""


class HeadersTooSlow(Problem, status=HTTPStatus.REQUEST_TIMEOUT, code="headers_timeout"):
    """The headers took too long to arrive."""


class BodyTooSlow(Problem, status=HTTPStatus.REQUEST_TIMEOUT, code="body_timeout"):
    """The body took too long to arrive."""


class MethodNotImplemented(Problem, status=HTTPStatus.NOT_IMPLEMENTED, code="method_not_implemented"):
    """The method makes a server a proxy."""


class TooManyUploads(Problem, status=HTTPStatus.SERVICE_UNAVAILABLE, code="too_many_uploads"):
    """The gateway, or this caller, is receiving as many uploads as it may at a time."""


class TooManyDownloads(Problem, status=HTTPStatus.SERVICE_UNAVAILABLE, code="too_many_downloads"):
    """The gateway is sending as many results, at all or to this caller, as it may at a time."""


class TooManyStreams(Problem, status=HTTPStatus.SERVICE_UNAVAILABLE, code="too_many_streams"):
    """The gateway, or this caller, has as many event streams and waiting requests open as it may."""


class TooManyConnections(Problem, status=HTTPStatus.SERVICE_UNAVAILABLE, code="too_many_connections"):
    """The server has as many connections open as it may."""


class ShuttingDown(Problem, status=HTTPStatus.SERVICE_UNAVAILABLE, code="shutting_down"):
    """The server has been told to stop. It takes no new requests, and has waited long enough for this one."""


class TooManyUnfinished(Problem, status=HTTPStatus.TOO_MANY_REQUESTS, code="too_many_unfinished_uploads"):
    """The caller has as many unfinished resumable uploads as it may."""


class TooManyBulkActions(Problem, status=HTTPStatus.TOO_MANY_REQUESTS, code="too_many_bulk_actions"):
    """The owner has as many bulk actions that have not ended as it may."""


class VersionUnsupported(Problem, status=HTTPStatus.PRECONDITION_FAILED, code="tus_version_unsupported"):
    """The request is of another version of the tus protocol."""


class OffsetMismatch(Problem, status=HTTPStatus.CONFLICT, code="offset_mismatch"):
    """The bytes do not begin where the stored ones end."""


class ChecksumMismatch(Problem, status=460, code="checksum_mismatch"):
    """The bytes of a PATCH do not match its Upload-Checksum. The tus protocol defines the status."""


class UploadCompleting(Problem, status=HTTPStatus.CONFLICT, code="upload_completing"):
    """The resumable upload is becoming a job at this moment."""


class UploadEnded(Problem, status=HTTPStatus.GONE, code="upload_ended"):
    """The resumable upload was removed, has ended without a job, or its job was removed."""


class UploadExpired(UploadEnded, code="upload_expired"):
    """The resumable upload has expired."""


class Unauthorized(Problem, status=HTTPStatus.UNAUTHORIZED, code="unauthorized"):
    """The API key or token is missing or wrong. `challenge` is `WWW-Authenticate` (RFC 6750, section 3)."""

    challenge = "Bearer"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": self.challenge})


class InvalidToken(Unauthorized, status=HTTPStatus.UNAUTHORIZED, code="invalid_token"):
    """The token is malformed, has a wrong signature, or claims what no token may."""

    challenge = 'Bearer error="invalid_token"'


class TokenExpired(InvalidToken, status=HTTPStatus.UNAUTHORIZED, code="token_expired"):
    """The token has ended."""


class InsufficientScope(Unauthorized, status=HTTPStatus.FORBIDDEN, code="insufficient_scope"):
    """The token is valid, but not for this route."""

    challenge = 'Bearer error="insufficient_scope"'


class NoSigningSecret(Problem, status=HTTPStatus.CONFLICT, code="no_signing_secret"):
    """The owner of the API key has no secret that signs tokens."""


class InvalidSignature(Problem, status=HTTPStatus.FORBIDDEN, code="invalid_signature"):
    """The signature of a link is wrong."""


class LinkExpired(Problem, status=HTTPStatus.FORBIDDEN, code="link_expired"):
    """The signed link has ended."""


class OriginNotAllowed(Problem, status=HTTPStatus.FORBIDDEN, code="origin_not_allowed"):
    """The upload token is for pages of another origin."""


class TokenUsedUp(Problem, status=HTTPStatus.FORBIDDEN, code="token_used_up"):
    """The upload token has made as many jobs as it may."""


class FormatNotAllowed(Problem, status=HTTPStatus.UNSUPPORTED_MEDIA_TYPE, code="format_not_allowed"):
    """The upload token is for other formats."""


class PresetNotAllowed(Problem, status=HTTPStatus.FORBIDDEN, code="preset_not_allowed"):
    """The API key or token is for other presets."""


class TooManyWebhooks(Problem, status=HTTPStatus.CONFLICT, code="too_many_webhooks"):
    """The owner has as many webhooks as it may."""


class WebhookFixed(Problem, status=HTTPStatus.CONFLICT, code="webhook_fixed"):
    """The webhook is one of the settings."""


class WebhookDisabled(Problem, status=HTTPStatus.CONFLICT, code="webhook_disabled"):
    """Nothing is sent to the webhook."""


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
        "title": TITLES.get(status) or HTTPStatus(status).phrase,
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
