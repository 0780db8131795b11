"""Documents that this version cannot read: their log line, and the answers to requests that need them."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import structlog
from fastapi import Request
from fastapi.responses import JSONResponse

from gateway.problems import build_response
from storage.errors import JobUnreadable

RETRY_AFTER_SECONDS = 30
"""In a rolling upgrade, a newer gateway answers soon. After a roll-back, nothing shorter helps."""

log = structlog.get_logger("gateway")


def log_unreadable(error: JobUnreadable) -> None:
    """Log an unreadable job. `JobReader` calls it once for each."""
    log.error("document.unreadable", task_id=error.job_id, error=error.reason)


async def handle_job_unreadable(_: Request, error: Any) -> JSONResponse:
    """Answer a request for an unreadable job. It is 503: the job exists, and a newer gateway can show it."""
    return _build_response(
        "job_unreadable",
        f"This version of the gateway cannot read the job {error.job_id!r}: a newer version has probably stored it. "
        "The job is kept as it is. Send the request again once the newer version is back.",
    )


async def handle_key_unreadable(request: Request, _: Exception) -> JSONResponse:
    """Answer a request with an unreadable Idempotency-Key: a new job could be the second one of the same request."""
    log.error("key.unreadable", path=request.url.path)
    return _build_response(
        "idempotency_key_unreadable",
        "This version of the gateway cannot read what it stores about this Idempotency-Key: a newer version has "
        "probably stored it. Send the request again once the newer version is back, or with a new key.",
    )


async def handle_upload_unreadable(request: Request, _: Exception) -> JSONResponse:
    """Answer a request for an unreadable resumable upload: a newer gateway can go on with it."""
    log.error("upload.unreadable", path=request.url.path)
    return _build_response(
        "upload_unreadable",
        "This version of the gateway cannot read what it stores about this upload: a newer version has probably stored "
        "it. Send the request again once the newer version is back, or create a new upload.",
    )


async def handle_bulk_action_unreadable(request: Request, _: Exception) -> JSONResponse:
    """Answer a request for an unreadable bulk action: a newer gateway carries it out."""
    log.error("bulk.unreadable", path=request.url.path)
    return _build_response(
        "bulk_unreadable",
        "This version of the gateway cannot read what it stores about this bulk action: a newer version has probably "
        "stored it. Send the request again once the newer version is back.",
    )


async def handle_webhook_unreadable(request: Request, _: Exception) -> JSONResponse:
    """Answer a request for an unreadable webhook or delivery: a newer gateway goes on with it."""
    log.error("webhook.unreadable", path=request.url.path)
    return _build_response(
        "webhook_unreadable",
        "This version of the gateway cannot read what it stores about this webhook or delivery: a newer version has "
        "probably stored it. Send the request again once the newer version is back.",
    )


def _build_response(code: str, detail: str) -> JSONResponse:
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
    return build_response(HTTPStatus.SERVICE_UNAVAILABLE, code, detail, headers=headers)
