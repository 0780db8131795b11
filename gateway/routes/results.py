"""Results: the bytes of a rendition in the format that the client shows, which browsers cannot run as a page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Query, Request, Response

from gateway.dependencies import BlobsDep, JobsDep, PermissionDep, SettingsDep
from gateway.openapi.headers import request_headers
from gateway.permission import Permission, Scope
from gateway.problems import Expired
from gateway.result_answer import RESPONSES, ResultAnswer, hold_download
from gateway.routing import Router
from gateway.served_results import NO_LONGER_KEPT, ServedResult, find_served
from gateway.variants import Selection
from storage.jobs import Jobs


@dataclass(frozen=True, slots=True)
class ResultSource:
    """Where the job is, and how its results get to the client."""

    jobs: Jobs
    permission: Permission
    answer: ResultAnswer

    async def find(self, task_id: str, selection: Selection) -> ServedResult:
        """Return the result that a request gets. Raises the problem that says why there is none."""
        return find_served(await self.permission.get_job(self.jobs, task_id, rendition=selection.rendition), selection)


async def _source(jobs: JobsDep, blobs: BlobsDep, settings: SettingsDep, permission: PermissionDep) -> ResultSource:
    is_for_pages = permission.scope is Scope.READ or bool(settings.cors.origins)
    is_cross_origin = is_for_pages or settings.http.cross_origin_results
    return ResultSource(jobs, permission, ResultAnswer(blobs, settings.results, is_cross_origin))


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
router = Router(tags=["results"])
DESCRIPTION: dict[str, Any] = {
    "dependencies": [Depends(hold_download)],
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
        return await source.answer.send(served, request)
    except FileNotFoundError as error:
        newer = await source.find(task_id, selection)
        if newer.variant["blob"] == served.variant["blob"]:
            raise Expired(NO_LONGER_KEPT) from error
    try:
        return await source.answer.send(newer, request)
    except FileNotFoundError as error:
        raise Expired(NO_LONGER_KEPT) from error
