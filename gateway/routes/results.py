"""Results: the bytes of a rendition in the format that the client shows, which browsers cannot run as a page."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import Depends, Query, Request, Response
from fastapi.responses import StreamingResponse

from gateway.byte_ranges import parse_range
from gateway.concurrency_limit import ConcurrencyLimit
from gateway.conditional_requests import evaluate_preconditions
from gateway.dependencies import BlobsDep, JobsDep, PermissionDep, SettingsDep
from gateway.middleware import resource_policy
from gateway.middleware.rate_limit import caller_of
from gateway.openapi.errors import errors
from gateway.openapi.headers import answer_headers, request_headers
from gateway.permission import Permission, Scope
from gateway.problems import Expired, PreconditionFailed, RangeNotSatisfiable
from gateway.routing import Router
from gateway.served_results import NO_LONGER_KEPT, ServedResult, find_served
from gateway.variants import Selection
from pipeline import rendition_headers
from pipeline.http_settings import ResultsSettings
from storage.blobs import Blobs
from storage.jobs import Jobs


@dataclass(frozen=True, slots=True)
class ResultSource:
    """Where the job and the bytes are, and how they get to the client."""

    jobs: Jobs
    permission: Permission
    blobs: Blobs
    settings: ResultsSettings
    is_cross_origin: bool

    async def find(self, task_id: str, selection: Selection) -> ServedResult:
        """Return the result that a request gets. Raises the problem that says why there is none."""
        return find_served(await self.permission.get_job(self.jobs, task_id, rendition=selection.rendition), selection)


async def _source(jobs: JobsDep, blobs: BlobsDep, settings: SettingsDep, permission: PermissionDep) -> ResultSource:
    is_for_pages = permission.scope is Scope.READ or bool(settings.cors.origins)
    is_cross_origin = is_for_pages or settings.http.cross_origin_results
    return ResultSource(jobs, permission, blobs, settings.results, is_cross_origin)


SourceDep = Annotated[ResultSource, Depends(_source)]
FormatQuery = Annotated[
    str | None,
    Query(description="Send this format, whatever `Accept` says.", max_length=16, examples=["avif"]),
]
DensityQuery = Annotated[
    float | None,
    Query(
        description="Send this density: 2 is for screens with two pixels for one of CSS.", ge=0, le=100, examples=[2]
    ),
]
VersionQuery = Annotated[
    str | None,
    Query(
        description="The `version` of the rendition in the status of the job. If it is the current one, the answer may "
        "be cached for ever.",
        max_length=64,
        examples=["5f2b9c0a7d13e846"],
    ),
]
UNVERSIONED = "private, no-cache"
"""Cache-Control of an address whose result may change: caches keep it, and ask whether it is still the current one."""
router = Router(tags=["results"])
IMAGE = {"image/*": {"schema": {"type": "string", "format": "binary"}}}  # generators of clients know bytes by it
HEADERS = ("ETag", "Repr-Digest", "Accept-Ranges", "Content-Disposition", "Cache-Control", "Vary")
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
        "headers": answer_headers("Location", "Cache-Control", "Vary"),
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


async def _select(
    request: Request,
    format: FormatQuery = None,  # noqa: A002  # the query's word
    dpr: DensityQuery = None,
    v: VersionQuery = None,
) -> Selection:
    return Selection(format=format, dpr=dpr, version=v, accept=", ".join(request.headers.getlist("accept")))


SelectionDep = Annotated[Selection, Depends(_select)]


@router.get("/result/{task_id}", summary="Fetch the main result", operation_id="get_result", **DESCRIPTION)
async def result(task_id: str, request: Request, source: SourceDep, selection: SelectionDep) -> Response:
    """Send the job's main result: the output of an operation, or the largest preview.

    If it has several formats, it is the best one that `Accept` names.
    """
    return await _serve(task_id, selection, request, source)


@router.get("/result/{task_id}/{rendition}", summary="Fetch a rendition", operation_id="get_rendition", **DESCRIPTION)
async def named_result(
    task_id: str, rendition: str, request: Request, source: SourceDep, selection: SelectionDep
) -> Response:
    """Send one rendition. It can be fetched as soon as its stage is done, before the job ends.

    If it has several formats, it is the best one that `Accept` names, unless the name ends with one.
    """
    return await _serve(task_id, selection.named(rendition), request, source)


async def _serve(task_id: str, selection: Selection, request: Request, source: ResultSource) -> Response:
    """Send a result. If its blob is gone because new results have just replaced it, send the new one."""
    served = await source.find(task_id, selection)
    try:
        return await _send(served, request, source)
    except FileNotFoundError as error:
        newer = await source.find(task_id, selection)
        if newer.variant["blob"] == served.variant["blob"]:
            raise Expired(NO_LONGER_KEPT) from error
    try:
        return await _send(newer, request, source)
    except FileNotFoundError as error:
        raise Expired(NO_LONGER_KEPT) from error


async def _send(served: ServedResult, request: Request, source: ResultSource) -> Response:
    """Send a result, or the part of it that the request wants. Raises FileNotFoundError if its blob is gone."""
    variant, headers = served.variant, _build_headers(served, source)
    try:
        if evaluate_preconditions(request, headers["ETag"]):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        byte_range = parse_range(_requested_range(request, headers["ETag"]), variant["bytes"])
    except (PreconditionFailed, RangeNotSatisfiable) as problem:
        problem.headers |= _build_vary(served)
        raise
    start, stop = byte_range or (0, variant["bytes"])
    headers["Content-Length"] = str(stop - start)
    if byte_range:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{variant['bytes']}"
    status = HTTPStatus.PARTIAL_CONTENT if byte_range else HTTPStatus.OK
    if source.settings.redirect:
        return await _redirect_to_store(served, request, source)
    content = await source.blobs.stream(variant["blob"], start=start, stop=stop)
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=variant["media_type"])
    return StreamingResponse(content, status_code=status, headers=headers, media_type=variant["media_type"])


async def _redirect_to_store(served: ServedResult, request: Request, source: ResultSource) -> Response:
    """Redirect to the object store. The client repeats its method, which the link is signed for, and its headers."""
    method: Literal["GET", "HEAD"] = "HEAD" if request.method == "HEAD" else "GET"
    blob, seconds = served.variant["blob"], source.settings.redirect_seconds
    link = await source.blobs.sign_url(blob, method=method, seconds=seconds)
    policies = _build_policy(source) | _build_vary(served)
    headers = {"Location": link, "Cache-Control": "no-store", **policies}  # who has the link can use it
    return Response(status_code=HTTPStatus.TEMPORARY_REDIRECT, headers=headers)


def _build_headers(served: ServedResult, source: ResultSource) -> dict[str, str]:
    variant = served.variant
    digest = b64encode(bytes.fromhex(variant["sha256"])).decode()
    stored = rendition_headers.headers(served.job, served.rendition, format=variant["format"], dpr=variant["dpr"])
    return {
        "ETag": f'"{variant["sha256"]}"',
        "Repr-Digest": f"sha-256=:{digest}:",
        "Accept-Ranges": "bytes",
        **stored,
        **({} if served.is_version_known else {"Cache-Control": UNVERSIONED}),
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "X-Content-Type-Options": "nosniff",
        **_build_policy(source),
        **_build_vary(served),
    }


def _build_policy(source: ResultSource) -> dict[str, str]:
    return {resource_policy.HEADER: "cross-origin"} if source.is_cross_origin else {}


def _build_vary(served: ServedResult) -> dict[str, str]:
    return {"Vary": "Accept"} if served.depends_on_accept else {}


def _requested_range(request: Request, etag: str) -> str | None:
    """Return the Range header of a GET; None if If-Range has another ETag, or a date."""
    if request.method != "GET":
        return None
    condition = request.headers.get("if-range")
    return request.headers.get("range") if condition in (None, etag) else None
