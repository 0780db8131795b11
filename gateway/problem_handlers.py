"""The exception handlers: they turn every error of a route, a store or the framework into a problem document."""

from __future__ import annotations

from dataclasses import asdict
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from obstore.exceptions import BaseError as BlobStoreError
from pymongo.errors import ExecutionTimeout, PyMongoError, ServerSelectionTimeoutError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from gateway.problems import RETRY_AFTER_SECONDS, PresetsMissing, Problem, build_response
from gateway.routing import allowed_methods
from gateway.unreadable import (
    handle_bulk_action_unreadable,
    handle_job_unreadable,
    handle_key_unreadable,
    handle_upload_unreadable,
    handle_webhook_unreadable,
)
from pipeline.presets.registry import PresetsNotReady
from stages.errors import EmptyFile, ImageNeedsTooMuchMemory, ImageTooLarge, StageError, UnsupportedFormat
from storage.errors import (
    BulkActionNotFound,
    BulkActionUnreadable,
    DeliveryNotFound,
    DeliveryUnreadable,
    JobNotFound,
    JobUnreadable,
    KeyUnreadable,
    UploadNotFound,
    UploadUnreadable,
    WebhookNotFound,
    WebhookUnreadable,
)

log = structlog.get_logger("gateway")

STATUS_BY_STAGE_ERROR: dict[type[StageError], HTTPStatus] = {
    EmptyFile: HTTPStatus.UNPROCESSABLE_ENTITY,
    UnsupportedFormat: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    ImageTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    ImageNeedsTooMuchMemory: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    StageError: HTTPStatus.UNPROCESSABLE_ENTITY,
}

UNREPEATABLE_POSTS = ("/retry", "/reprocess", "/webhooks", "/rotate")
"""Ends of the paths of requests that must not be repeated without a look."""

DETAIL_BY_STATUS = {
    HTTPStatus.NOT_FOUND: "No route has this path. Check the address: openapi.json lists every route.",
    HTTPStatus.METHOD_NOT_ALLOWED: "The route does not take this method. Use one that the Allow header lists.",
}
"""Details for the framework's own errors, which only repeat the status."""


def install(app: FastAPI) -> None:
    """Register a handler for every exception that a route may raise, except those that nobody expects.

    Starlette would answer those outside of all middleware, so without the headers of CORS. The application has a
    ServerErrorMiddleware of its own for them, with `handle_unexpected_error`.
    """
    app.add_exception_handler(Problem, _handle_problem)
    app.add_exception_handler(StageError, _handle_stage_error)
    app.add_exception_handler(PresetsNotReady, _handle_presets_not_ready)
    app.add_exception_handler(JobNotFound, _handle_job_not_found)
    app.add_exception_handler(UploadNotFound, _handle_upload_not_found)
    app.add_exception_handler(BulkActionNotFound, _handle_bulk_action_not_found)
    app.add_exception_handler(BulkActionUnreadable, handle_bulk_action_unreadable)
    app.add_exception_handler(UploadUnreadable, handle_upload_unreadable)
    app.add_exception_handler(WebhookNotFound, _handle_webhook_not_found)
    app.add_exception_handler(DeliveryNotFound, _handle_delivery_not_found)
    app.add_exception_handler(WebhookUnreadable, handle_webhook_unreadable)
    app.add_exception_handler(DeliveryUnreadable, handle_webhook_unreadable)
    app.add_exception_handler(JobUnreadable, handle_job_unreadable)
    app.add_exception_handler(KeyUnreadable, handle_key_unreadable)
    app.add_exception_handler(RequestValidationError, _handle_validation_error)
    app.add_exception_handler(HTTPException, handle_http_exception)
    for error in (PyMongoError, BlobStoreError, OSError):
        app.add_exception_handler(error, _handle_store_error)
    app.add_exception_handler(ExecutionTimeout, _handle_query_timeout)
    app.add_exception_handler(ClientDisconnect, _handle_disconnect)


async def _handle_problem(_: Request, error: Any) -> JSONResponse:
    return build_response(error.status, error.code, error.detail, headers=error.headers, **error.extra)


async def _handle_stage_error(_: Request, error: Any) -> JSONResponse:
    status = next(STATUS_BY_STAGE_ERROR[kind] for kind in type(error).__mro__ if kind in STATUS_BY_STAGE_ERROR)
    return build_response(status, error.code, error.message, errors=[asdict(rule) for rule in error.errors])


async def _handle_presets_not_ready(request: Request, _: Any) -> JSONResponse:
    detail = "The presets are not loaded yet, because the blob store has not answered. Send the request again soon."
    return await _handle_problem(request, PresetsMissing(detail, headers={"Retry-After": str(RETRY_AFTER_SECONDS)}))


async def _handle_job_not_found(_: Request, error: Any) -> JSONResponse:
    return build_response(
        HTTPStatus.NOT_FOUND,
        "job_not_found",
        f"No job has the id {error.job_id!r}. It may have been removed, or it may belong to another API key or token.",
    )


async def _handle_upload_not_found(_: Request, error: Any) -> JSONResponse:
    return build_response(
        HTTPStatus.NOT_FOUND,
        "upload_not_found",
        f"No upload has the id {error.upload_id!r}. It may have expired long ago, or it may belong to another API key "
        "or token. Create a new upload.",
    )


async def _handle_bulk_action_not_found(_: Request, error: Any) -> JSONResponse:
    return build_response(
        HTTPStatus.NOT_FOUND,
        "bulk_not_found",
        f"No bulk action has the id {error.bulk_id!r}. It may have ended long ago, or belong to another API key.",
    )


async def _handle_webhook_not_found(_: Request, error: Any) -> JSONResponse:
    return build_response(
        HTTPStatus.NOT_FOUND,
        "webhook_not_found",
        f"No webhook has the id {error.endpoint_id!r}. It may have been removed, or belong to another API key.",
    )


async def _handle_delivery_not_found(_: Request, error: Any) -> JSONResponse:
    return build_response(
        HTTPStatus.NOT_FOUND,
        "delivery_not_found",
        f"No delivery of this webhook has the id {error.delivery_id!r}. It may have ended long ago.",
    )


async def _handle_validation_error(_: Request, error: Any) -> JSONResponse:
    errors = [
        {"pointer": "/" + "/".join(str(part) for part in item["loc"]), "message": item["msg"], "rule": item["type"]}
        for item in error.errors()
    ]
    return build_response(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "invalid_request",
        "The request breaks the rules that errors lists. Correct it and send it again.",
        errors=errors,
    )


async def handle_http_exception(request: Request, error: Any) -> JSONResponse:
    """Answer the framework's own errors, such as 404 and 405.

    A `Problem` that was raised while the framework read a JSON body is the cause of its own error.
    """
    if isinstance(error.__cause__, Problem):
        return await _handle_problem(request, error.__cause__)
    phrase = HTTPStatus(error.status_code).phrase
    code = phrase.lower().replace(" ", "_").replace("-", "_")
    detail = DETAIL_BY_STATUS.get(error.status_code, phrase) if error.detail == phrase else str(error.detail)
    headers = error.headers
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:  # the framework lists the methods of one route of the path
        headers = {"Allow": allowed_methods(request.scope) or error.headers["Allow"]}
    return build_response(error.status_code, code, detail, headers=headers)


async def _handle_store_error(request: Request, error: Exception) -> JSONResponse:
    log.warning("dependency.failed", path=request.url.path, error=repr(error))
    if _may_have_acted(request, error):
        noun = "webhook" if "/webhooks" in request.url.path else "job"
        detail = (
            f"A store has not answered, but may have acted on the request. Look at the {noun} before you repeat it."
        )
        return build_response(HTTPStatus.GATEWAY_TIMEOUT, "outcome_unknown", detail)
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
    detail = "A store that this request needs does not answer. Send the request again after the time in Retry-After."
    return build_response(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", detail, headers=headers)


def _may_have_acted(request: Request, error: Exception) -> bool:
    """Whether a request that must not be repeated may have been carried out: a second DELETE removes the job.

    That of a resumable upload or of a webhook changes nothing. A second webhook would get each event again.
    """
    path = request.url.path
    if request.method == "DELETE":
        is_repeatable = "/files/" in path or "/webhooks/" in path
    else:
        is_repeatable = request.method != "POST" or not path.endswith(UNREPEATABLE_POSTS)
    return not is_repeatable and not isinstance(error, ServerSelectionTimeoutError)


async def _handle_query_timeout(request: Request, _: Exception) -> JSONResponse:
    log.warning("query.timeout", path=request.url.path)
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
    detail = "The database took too long for this list. Ask for fewer jobs, or again after the time in Retry-After."
    return build_response(HTTPStatus.SERVICE_UNAVAILABLE, "query_timeout", detail, headers=headers)


async def _handle_disconnect(request: Request, _: Exception) -> JSONResponse:
    log.info("client.gone", path=request.url.path)
    return build_response(
        HTTPStatus.BAD_REQUEST,
        "client_gone",
        "The connection closed before the whole body arrived. Send the request again.",
    )


async def handle_unexpected_error(request: Request, error: Exception) -> JSONResponse:
    """Log an error of ours, and answer without its text."""
    log.error("request.broken", path=request.url.path, exc_info=error)
    return build_response(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "internal_error",
        "The gateway failed unexpectedly. Try again; if the error stays, report the request_id of this answer.",
    )
