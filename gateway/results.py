"""Results: the bytes of a rendition, cacheable for ever and harmless in a browser."""

from __future__ import annotations

from base64 import b64encode
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from starlette.datastructures import Headers

from gateway.byte_ranges import parse_range
from gateway.dependencies import BlobsDep, JobsDep
from gateway.problems import Expired, NoResult, NotReady, RenditionNotFound
from gateway.schemas import has_renditions
from gateway.uploads import POLL_SECONDS
from storage.documents import Job, JobState, StageState

router = APIRouter(tags=["results"])
BYTES: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/*": {}}},
    206: {"content": {"image/*": {}}},
    304: {"description": "Not modified"},
}


@router.head("/result/{task_id}", include_in_schema=False)
@router.get("/result/{task_id}", response_class=Response, responses=BYTES)
async def result(task_id: str, request: Request, jobs: JobsDep, blobs: BlobsDep) -> Response:
    """Serve the job's main result: the largest of its previews."""
    job = await jobs.get(task_id)
    largest = max(job.operation.renditions, key=lambda name: job.operation.renditions[name])
    return await _serve(job, largest, request, blobs)


@router.head("/result/{task_id}/{rendition}", include_in_schema=False)
@router.get("/result/{task_id}/{rendition}", response_class=Response, responses=BYTES)
async def named_result(task_id: str, rendition: str, request: Request, jobs: JobsDep, blobs: BlobsDep) -> Response:
    """Serve one rendition, as soon as it is made."""
    return await _serve(await jobs.get(task_id), rendition, request, blobs)


async def _serve(job: Job, name: str, request: Request, blobs: BlobsDep) -> Response:
    made = _made(job, name)
    headers = _headers(job, name, made)
    if _matches(request.headers.get("if-none-match"), headers["ETag"]):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    span = parse_range(_range_asked(request.headers, headers["ETag"]), made["bytes"])
    start, stop = span or (0, made["bytes"])
    headers["Content-Length"] = str(stop - start)
    if span:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{made['bytes']}"
    status = HTTPStatus.PARTIAL_CONTENT if span else HTTPStatus.OK
    try:
        content = await blobs.stream(made["blob"], start=start, stop=stop)
    except FileNotFoundError as error:
        raise Expired("This result is no longer kept.") from error
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=made["media_type"])
    return StreamingResponse(content, status_code=status, headers=headers, media_type=made["media_type"])


def _made(job: Job, name: str) -> dict[str, Any]:
    """Return the record of a rendition, or say why there is none."""
    if name not in job.operation.renditions:
        known = ", ".join(job.operation.renditions)
        raise RenditionNotFound(f"The job has no rendition {name!r}; it has {known}.")
    if job.state in (JobState.FAILED, JobState.DEAD, JobState.CANCELLED):
        failure = job.failure.model_dump() if job.failure else None
        raise NoResult(f"The job has no result: it is {job.state}.", failure=failure)
    if not has_renditions(job) and not job.active:
        raise Expired("This result is no longer kept.")
    record = job.stages[name]
    if record.state is not StageState.DONE or record.result is None:
        raise NotReady("This result is not there yet.", headers={"Retry-After": str(POLL_SECONDS)})
    return record.result


def _headers(job: Job, name: str, made: dict[str, Any]) -> dict[str, str]:
    digest = b64encode(bytes.fromhex(made["sha256"])).decode()
    stem = (job.original.name or "image").rpartition("/")[2].rpartition(".")[0] or "image"
    file_name = quote(f"{stem}-{name}.{made['format']}", safe="")
    return {
        "ETag": f'"{made["sha256"]}"',
        "Repr-Digest": f"sha-256=:{digest}:",
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, max-age=31536000, immutable",
        "Content-Disposition": f"inline; filename*=UTF-8''{file_name}",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "X-Content-Type-Options": "nosniff",
    }


def _matches(header: str | None, etag: str) -> bool:
    """Compare weakly (RFC 9110, section 13.1.2)."""
    asked = [tag.strip().removeprefix("W/") for tag in (header or "").split(",")]
    return etag in asked or "*" in asked


def _range_asked(headers: Headers, etag: str) -> str | None:
    """Return the Range header, unless If-Range names other bytes than these."""
    condition = headers.get("if-range")
    return headers.get("range") if condition in (None, etag) else None
