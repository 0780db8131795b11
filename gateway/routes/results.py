"""Results: the bytes of a rendition, which clients may cache forever and browsers cannot run as a page."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import Depends, Request, Response
from fastapi.responses import StreamingResponse

from gateway.byte_ranges import parse_range
from gateway.concurrency_limit import ConcurrencyLimit
from gateway.conditional_requests import evaluate_preconditions
from gateway.dependencies import BlobsDep, JobsDep, PermissionDep, SettingsDep
from gateway.image_schemas import has_renditions
from gateway.middleware import resource_policy
from gateway.middleware.rate_limit import caller_of
from gateway.openapi.errors import errors
from gateway.openapi.headers import answer_headers, request_headers
from gateway.permission import Scope
from gateway.problems import POLL_SECONDS, Expired, NoResult, NotReady, RenditionNotFound
from gateway.public_errors import public_failure
from gateway.routing import Router
from pipeline import rendition_headers
from pipeline.http_settings import ResultsSettings
from pipeline.results import main_rendition
from pipeline.stage_order import stage_by_rendition
from storage.blobs import Blobs
from storage.documents import Job, JobState, StageState


@dataclass(frozen=True, slots=True)
class ResultSource:
    """Where the bytes are, and how they get to the client."""

    blobs: Blobs
    settings: ResultsSettings
    is_cross_origin: bool


async def _source(blobs: BlobsDep, settings: SettingsDep, permission: PermissionDep) -> ResultSource:
    is_for_pages = permission.scope is Scope.READ or bool(settings.cors.origins)
    return ResultSource(blobs, settings.results, is_for_pages or settings.http.cross_origin_results)


SourceDep = Annotated[ResultSource, Depends(_source)]
NO_LONGER_KEPT = "This result is no longer kept. To get it again, submit the image as a new job."

router = Router(tags=["results"])
IMAGE = {"image/*": {"schema": {"type": "string", "format": "binary"}}}  # generators of clients know bytes by it
HEADERS = ("ETag", "Repr-Digest", "Accept-Ranges", "Content-Disposition", "Cache-Control")
RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The whole result", "content": IMAGE, "headers": answer_headers(*HEADERS)},
    206: {
        "description": "The bytes that `Range` names",
        "content": IMAGE,
        "headers": answer_headers(*HEADERS, "Content-Range"),
    },
    304: {"description": "The result matches `If-None-Match`", "headers": answer_headers(*HEADERS)},
    307: {
        "description": "The object store has the bytes: fetch them from `Location`. The link expires, and needs no API "
        "key. Only where `DARKROOM_RESULTS__REDIRECT` is set.",
        "headers": answer_headers("Location", "Cache-Control"),
    },
    **errors(404, 409, 410, 412, 416),
}


async def _hold_download(request: Request) -> AsyncIterator[None]:
    """Count the result until its last byte is sent: FastAPI ends this dependency only then."""
    downloads: ConcurrencyLimit = request.app.state.downloads
    with downloads.hold(caller_of(request.scope)):
        yield


DESCRIPTION: dict[str, Any] = {
    "dependencies": [Depends(_hold_download)],
    "response_class": Response,
    "responses": RESPONSES,
    "openapi_extra": {"parameters": request_headers("If-Match", "If-None-Match", "Range", "If-Range")},
}


@router.get("/result/{task_id}", summary="Fetch the main result", operation_id="get_result", **DESCRIPTION)
async def result(
    task_id: str, request: Request, jobs: JobsDep, source: SourceDep, permission: PermissionDep
) -> Response:
    """Send the job's main result: the output of an operation, or the largest preview."""
    job = await permission.get_job(jobs, task_id)
    return await _serve(job, main_rendition(job), request, source)


@router.get("/result/{task_id}/{rendition}", summary="Fetch a rendition", operation_id="get_rendition", **DESCRIPTION)
async def named_result(
    task_id: str, rendition: str, request: Request, jobs: JobsDep, source: SourceDep, permission: PermissionDep
) -> Response:
    """Send one rendition. It can be fetched as soon as its stage is done, before the job ends."""
    return await _serve(await permission.get_job(jobs, task_id, rendition=rendition), rendition, request, source)


async def _serve(job: Job, name: str, request: Request, source: ResultSource) -> Response:
    rendition = _find_rendition(job, name)
    headers = _build_headers(job, name, rendition, source)
    if evaluate_preconditions(request, headers["ETag"]):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    byte_range = parse_range(_requested_range(request, headers["ETag"]), rendition["bytes"])
    start, stop = byte_range or (0, rendition["bytes"])
    headers["Content-Length"] = str(stop - start)
    if byte_range:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{rendition['bytes']}"
    status = HTTPStatus.PARTIAL_CONTENT if byte_range else HTTPStatus.OK
    try:
        if source.settings.redirect:
            return await _redirect_to_store(rendition["blob"], request, source)
        content = await source.blobs.stream(rendition["blob"], start=start, stop=stop)
    except FileNotFoundError as error:
        raise Expired(NO_LONGER_KEPT) from error
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=rendition["media_type"])
    return StreamingResponse(content, status_code=status, headers=headers, media_type=rendition["media_type"])


async def _redirect_to_store(blob: str, request: Request, source: ResultSource) -> Response:
    """Redirect to the object store. The client repeats its method, which the link is signed for, and its headers."""
    method: Literal["GET", "HEAD"] = "HEAD" if request.method == "HEAD" else "GET"
    link = await source.blobs.sign_url(blob, method=method, seconds=source.settings.redirect_seconds)
    headers = {"Location": link, "Cache-Control": "no-store", **_build_policy(source)}  # who has the link can use it
    return Response(status_code=HTTPStatus.TEMPORARY_REDIRECT, headers=headers)


def _find_rendition(job: Job, name: str) -> dict[str, Any]:
    """Return the result of the rendition's stage, or raise the problem that says why there is none."""
    if name not in stage_by_rendition(job):
        names = ", ".join(stage_by_rendition(job))
        raise RenditionNotFound(f"The job has no rendition {name!r}. Ask for one of: {names}.")
    if job.state in (JobState.FAILED, JobState.DEAD, JobState.CANCELLED):
        failure = public_failure(job)
        raise NoResult(
            f"The job ended without a result; its state is {job.state}. See failure for the reason, if there is one.",
            failure=failure.model_dump() if failure else None,
        )
    if not has_renditions(job) and not job.is_active:
        raise Expired(NO_LONGER_KEPT)
    record = job.stages[stage_by_rendition(job)[name]]
    if record.state is not StageState.DONE or record.result is None:
        raise NotReady(
            "This result is not ready yet. Ask again after the time in Retry-After.",
            headers={"Retry-After": str(POLL_SECONDS)},
        )
    return record.result


def _build_headers(job: Job, name: str, rendition: dict[str, Any], source: ResultSource) -> dict[str, str]:
    digest = b64encode(bytes.fromhex(rendition["sha256"])).decode()
    return {
        "ETag": f'"{rendition["sha256"]}"',
        "Repr-Digest": f"sha-256=:{digest}:",
        "Accept-Ranges": "bytes",
        **rendition_headers.headers(job, name, format=rendition["format"]),
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "X-Content-Type-Options": "nosniff",
        **_build_policy(source),
    }


def _build_policy(source: ResultSource) -> dict[str, str]:
    return {resource_policy.HEADER: "cross-origin"} if source.is_cross_origin else {}


def _requested_range(request: Request, etag: str) -> str | None:
    """Return the Range header of a GET; None if If-Range has another ETag, or a date."""
    if request.method != "GET":
        return None
    condition = request.headers.get("if-range")
    return request.headers.get("range") if condition in (None, etag) else None
