"""Problems: every exception that a route may raise, as the document a client gets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated

import httpx
import pytest
from fastapi import FastAPI, Query
from obstore.exceptions import GenericError
from pymongo.errors import AutoReconnect, ExecutionTimeout, ServerSelectionTimeoutError
from starlette.exceptions import HTTPException
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.requests import ClientDisconnect

from gateway import problem_handlers
from gateway.problems import (
    TITLES,
    BodyTooLarge,
    BodyTooSlow,
    ChecksumMismatch,
    DigestMismatch,
    Expired,
    FileMissing,
    FormatNotAllowed,
    HeadersTooLarge,
    HeadersTooSlow,
    InsufficientScope,
    InvalidCursor,
    InvalidForm,
    InvalidHeader,
    InvalidRequest,
    InvalidSignature,
    InvalidToken,
    KeyInUse,
    KeyReused,
    LinkExpired,
    MalformedForm,
    MalformedRequest,
    MethodNotImplemented,
    NoResult,
    NoSigningSecret,
    NotReady,
    NotReprocessable,
    NotRetryable,
    OffsetMismatch,
    OriginNotAllowed,
    Overloaded,
    PreconditionFailed,
    PresetNotAllowed,
    PresetNotFound,
    PresetsMissing,
    Problem,
    RangeNotSatisfiable,
    RenditionNotFound,
    ShuttingDown,
    SourceGone,
    SourceNotAllowed,
    StorageFull,
    TokenExpired,
    TokenUsedUp,
    TooManyBulkActions,
    TooManyConnections,
    TooManyDownloads,
    TooManyFiles,
    TooManyParts,
    TooManyStreams,
    TooManyUnfinished,
    TooManyUploads,
    TooManyWebhooks,
    Unauthorized,
    UnsupportedMediaType,
    UploadCompleting,
    UploadEnded,
    UploadExpired,
    UploadGone,
    VersionUnsupported,
    WebhookDisabled,
    WebhookFixed,
)
from pipeline.presets.registry import PresetsNotReady
from stages.errors import (
    STAGE_ERRORS,
    EmptyFile,
    ExportFailed,
    FetchFailed,
    FetchRefused,
    FetchTimeout,
    FetchTooLarge,
    ImageCorrupt,
    ImageNeedsTooMuchMemory,
    ImageTooLarge,
    ImageTruncated,
    InvalidOperation,
    StageError,
    TooManyFrames,
    UnsupportedFormat,
)
from storage.errors import (
    BulkActionNotFound,
    BulkActionUnreadable,
    DeliveryNotFound,
    DeliveryUnreadable,
    JobNotFound,
    UploadNotFound,
    UploadUnreadable,
    WebhookNotFound,
    WebhookUnreadable,
)
from tests.support.problem_codes import list_kinds

INSIDE = "mongodb://admin:hunter2@10.0.0.7"

TABLE = [
    (Problem("why"), 400, "bad_request"),
    (MalformedForm("why"), 400, "malformed_form"),
    (UnsupportedMediaType("why"), 415, "unsupported_media_type"),
    (PreconditionFailed("why"), 412, "precondition_failed"),
    (InvalidForm("why"), 422, "invalid_form"),
    (FileMissing("why"), 422, "file_missing"),
    (TooManyFiles("why"), 422, "too_many_files"),
    (TooManyParts("why"), 422, "too_many_parts"),
    (DigestMismatch("why"), 400, "digest_mismatch"),
    (InvalidHeader("why"), 400, "invalid_header"),
    (InvalidCursor("why"), 400, "invalid_cursor"),
    (KeyInUse("why"), 409, "idempotency_key_in_use"),
    (KeyReused("why"), 422, "idempotency_key_reused"),
    (PresetNotFound("why"), 404, "preset_not_found"),
    (PresetsMissing("why"), 503, "presets_not_ready"),
    (PresetsNotReady(), 503, "presets_not_ready"),
    (SourceGone("why"), 409, "source_gone"),
    (SourceNotAllowed("why"), 403, "source_not_allowed"),
    (ShuttingDown("why"), 503, "shutting_down"),
    (TooManyConnections("why"), 503, "too_many_connections"),
    (UploadGone("why"), 503, "upload_gone"),
    (NotRetryable("why"), 409, "not_retryable"),
    (NotReprocessable("why"), 409, "not_reprocessable"),
    (InvalidRequest("why"), 422, "invalid_request"),
    (Overloaded("why"), 503, "overloaded"),
    (StorageFull("why"), 503, "storage_full"),
    (BodyTooLarge("why"), 413, "upload_too_large"),
    (NotReady("why"), 409, "not_ready"),
    (NoResult("why"), 409, "job_failed"),
    (RenditionNotFound("why"), 404, "rendition_not_found"),
    (Expired("why"), 410, "expired"),
    (RangeNotSatisfiable("why"), 416, "range_not_satisfiable"),
    (MalformedRequest("why"), 400, "malformed_request"),
    (HeadersTooLarge("why"), 431, "headers_too_large"),
    (HeadersTooSlow("why"), 408, "headers_timeout"),
    (BodyTooSlow("why"), 408, "body_timeout"),
    (MethodNotImplemented("why"), 501, "method_not_implemented"),
    (TooManyUploads("why"), 503, "too_many_uploads"),
    (TooManyStreams("why"), 503, "too_many_streams"),
    (TooManyDownloads("why"), 503, "too_many_downloads"),
    (TooManyBulkActions("why"), 429, "too_many_bulk_actions"),
    (TooManyUnfinished("why"), 429, "too_many_unfinished_uploads"),
    (VersionUnsupported("why"), 412, "tus_version_unsupported"),
    (OffsetMismatch("why"), 409, "offset_mismatch"),
    (ChecksumMismatch("why"), 460, "checksum_mismatch"),
    (UploadCompleting("why"), 409, "upload_completing"),
    (UploadEnded("why"), 410, "upload_ended"),
    (UploadExpired("why"), 410, "upload_expired"),
    (UploadNotFound("upload"), 404, "upload_not_found"),
    (UploadUnreadable("upload"), 503, "upload_unreadable"),
    (BulkActionNotFound("bulk"), 404, "bulk_not_found"),
    (BulkActionUnreadable("bulk"), 503, "bulk_unreadable"),
    (TooManyWebhooks("why"), 409, "too_many_webhooks"),
    (WebhookFixed("why"), 409, "webhook_fixed"),
    (WebhookDisabled("why"), 409, "webhook_disabled"),
    (WebhookNotFound("webhook"), 404, "webhook_not_found"),
    (WebhookUnreadable("webhook"), 503, "webhook_unreadable"),
    (DeliveryNotFound("delivery"), 404, "delivery_not_found"),
    (DeliveryUnreadable("delivery"), 503, "webhook_unreadable"),
    (Unauthorized("why"), 401, "unauthorized"),
    (InvalidToken("why"), 401, "invalid_token"),
    (TokenExpired("why"), 401, "token_expired"),
    (InvalidSignature("why"), 403, "invalid_signature"),
    (LinkExpired("why"), 403, "link_expired"),
    (InsufficientScope("why"), 403, "insufficient_scope"),
    (NoSigningSecret("why"), 409, "no_signing_secret"),
    (OriginNotAllowed("why"), 403, "origin_not_allowed"),
    (TokenUsedUp("why"), 403, "token_used_up"),
    (FormatNotAllowed("why"), 415, "format_not_allowed"),
    (PresetNotAllowed("why"), 403, "preset_not_allowed"),
    (EmptyFile(), 422, "empty_file"),
    (UnsupportedFormat(), 415, "unsupported_format"),
    (ImageTooLarge(), 413, "image_too_large"),
    (ImageNeedsTooMuchMemory(), 413, "image_needs_too_much_memory"),
    (TooManyFrames(), 422, "too_many_frames"),
    (ImageTruncated(), 422, "image_truncated"),
    (ImageCorrupt(), 422, "image_corrupt"),
    (InvalidOperation(), 422, "invalid_operation"),
    (FetchRefused(), 422, "fetch_refused"),
    (FetchFailed(), 422, "fetch_failed"),
    (FetchTooLarge(), 422, "fetch_too_large"),
    (FetchTimeout(), 422, "fetch_timeout"),
    (ExportFailed(), 422, "export_failed"),
    (StageError(), 422, "stage_error"),
    (JobNotFound("job"), 404, "job_not_found"),
    (AutoReconnect(INSIDE), 503, "unavailable"),
    (ServerSelectionTimeoutError(INSIDE), 503, "unavailable"),
    (GenericError(INSIDE), 503, "unavailable"),
    (OSError(INSIDE), 503, "unavailable"),
    (PermissionError(INSIDE), 503, "unavailable"),
    (ClientDisconnect(), 400, "client_gone"),
    (HTTPException(429, "slow down"), 429, "too_many_requests"),
    (ZeroDivisionError(INSIDE), 500, "internal_error"),
]
NAMES = [type(error).__name__ for error, _, _ in TABLE]


class Thrower:
    """An application whose one route raises what it is told to."""

    def __init__(self) -> None:
        self.error: Exception = ZeroDivisionError()
        self.app = FastAPI()
        problem_handlers.install(self.app)
        self.app.add_middleware(ServerErrorMiddleware, handler=problem_handlers.handle_unexpected_error)
        self.app.add_api_route("/raise", self._raise)
        self.app.add_api_route("/number", self._number)

    async def _raise(self) -> None:
        raise self.error

    async def _number(self, n: Annotated[int, Query(ge=1)], m: Annotated[int, Query()]) -> int:
        return n + m


@pytest.fixture(scope="session")
def thrower() -> Thrower:
    return Thrower()


@pytest.fixture
async def client(thrower: Thrower) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(thrower.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


@pytest.mark.parametrize(("error", "status", "code"), TABLE, ids=NAMES)
async def test_an_exception_has_its_status_and_code(
    thrower: Thrower, client: httpx.AsyncClient, error: Exception, status: int, code: str
) -> None:
    thrower.error = error

    answer = await client.get("/raise")

    assert (answer.status_code, answer.json()["status"], answer.json()["code"]) == (status, status, code)


@pytest.mark.parametrize("error", [error for error, _, _ in TABLE], ids=NAMES)
async def test_an_exception_is_a_problem_document_with_a_type_of_its_own_and_a_title(
    thrower: Thrower, client: httpx.AsyncClient, error: Exception
) -> None:
    thrower.error = error

    answer = await client.get("/raise")

    problem = answer.json()
    assert (answer.headers["content-type"], problem["type"], problem["title"]) == (
        "application/problem+json",
        f"urn:darkroom:problem:{problem['code']}",
        TITLES.get(answer.status_code) or HTTPStatus(answer.status_code).phrase,
    )


@pytest.mark.parametrize(
    "error", [error for error, _, _ in TABLE if INSIDE in str(error)], ids=lambda error: type(error).__name__
)
async def test_an_error_of_ours_tells_nothing_of_its_inside(
    thrower: Thrower, client: httpx.AsyncClient, error: Exception
) -> None:
    thrower.error = error

    answer = await client.get("/raise")

    assert "hunter2" not in answer.text


def test_every_problem_is_in_the_table() -> None:
    raised = {type(error) for error, _, _ in TABLE}

    assert list_kinds() <= raised


def test_every_refusal_of_a_stage_is_in_the_table() -> None:
    assert set(STAGE_ERRORS) <= {code for _, _, code in TABLE}


def test_no_two_problems_share_a_code() -> None:
    codes = [problem.code for problem in list_kinds()] + list(STAGE_ERRORS)

    assert len(codes) == len(set(codes))


async def test_a_problem_says_why(thrower: Thrower, client: httpx.AsyncClient) -> None:
    thrower.error = NotReady("The result is not ready yet.")

    assert (await client.get("/raise")).json()["detail"] == "The result is not ready yet."


async def test_a_refusal_says_why(thrower: Thrower, client: httpx.AsyncClient) -> None:
    thrower.error = ImageTooLarge("The image is 9 pixels wide.")

    assert (await client.get("/raise")).json()["detail"] == "The image is 9 pixels wide."


async def test_an_unknown_job_is_named(thrower: Thrower, client: httpx.AsyncClient) -> None:
    thrower.error = JobNotFound("nobody")

    assert "nobody" in (await client.get("/raise")).json()["detail"]


async def test_a_problem_carries_its_headers(thrower: Thrower, client: httpx.AsyncClient) -> None:
    thrower.error = NotReady("why", headers={"Retry-After": "1"})

    assert (await client.get("/raise")).headers["retry-after"] == "1"


async def test_a_problem_carries_what_it_was_given_besides(thrower: Thrower, client: httpx.AsyncClient) -> None:
    thrower.error = NoResult("why", failure={"stage": "validate"})

    assert (await client.get("/raise")).json()["failure"] == {"stage": "validate"}


async def test_a_form_that_breaks_rules_names_each(thrower: Thrower, client: httpx.AsyncClient) -> None:
    rules = [{"pointer": "/width", "rule": "minimum", "limit": 1, "actual": "0"}, {"pointer": "/fit", "rule": "choice"}]
    thrower.error = InvalidForm("why", errors=rules)

    assert (await client.get("/raise")).json()["errors"] == rules


async def test_a_store_that_is_away_asks_for_another_try(thrower: Thrower, client: httpx.AsyncClient) -> None:
    thrower.error = AutoReconnect()

    assert (await client.get("/raise")).headers["retry-after"] == "5"


async def test_a_list_that_takes_the_database_too_long_asks_for_another_try(
    thrower: Thrower, client: httpx.AsyncClient
) -> None:
    thrower.error = ExecutionTimeout("operation exceeded time limit", 50)

    answer = await client.get("/raise")

    assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "query_timeout", "5")


async def test_a_request_that_breaks_rules_names_each(client: httpx.AsyncClient) -> None:
    answer = await client.get("/number", params={"n": 0, "m": "x"})

    assert [error["pointer"] for error in answer.json()["errors"]] == ["/query/n", "/query/m"]


async def test_a_request_that_breaks_rules_is_invalid(client: httpx.AsyncClient) -> None:
    answer = await client.get("/number")

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


async def test_a_problem_without_broken_rules_lists_none(thrower: Thrower, client: httpx.AsyncClient) -> None:
    thrower.error = NotReady("why")

    assert "errors" not in (await client.get("/raise")).json()


async def test_an_unknown_path_is_a_problem(client: httpx.AsyncClient) -> None:
    answer = await client.get("/nowhere")

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert answer.json()["detail"].startswith("No route has this path.")


async def test_a_wrong_method_is_a_problem(client: httpx.AsyncClient) -> None:
    answer = await client.post("/raise")

    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert answer.json()["detail"].startswith("The route does not take this method.")


async def test_a_wrong_method_is_told_the_right_ones(client: httpx.AsyncClient) -> None:
    assert (await client.post("/raise")).headers["allow"] == "GET, OPTIONS"
