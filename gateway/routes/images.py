"""Images on demand: a file of any preset's rendition, made of a job's original when it is first asked for."""

from __future__ import annotations

from time import monotonic
from typing import Annotated, Any

from fastapi import Depends, Query, Request, Response, status

from gateway.dependencies import (
    FeedDep,
    MetricsDep,
    PermissionDep,
    PresetsDep,
    SettingsDep,
    StoresDep,
)
from gateway.image_links import ROUTE
from gateway.image_making import ImageMaker, has_image
from gateway.image_requests import ImageRequest
from gateway.middleware.root_path import root_path_of
from gateway.openapi.errors import errors
from gateway.openapi.headers import answer_headers, request_headers
from gateway.openapi.links import job_links
from gateway.permission import Permission, Scope
from gateway.problems import POLL_SECONDS, Expired
from gateway.result_answer import RESPONSES, ResultAnswer, hold_download
from gateway.routing import Router
from gateway.schemas import Accepted, Links
from gateway.served_results import NO_LONGER_KEPT, find_served
from pipeline.job_removal import remove_lost_image
from storage.clock import now_ms
from storage.documents import Job, Kind

MAX_WAIT_SECONDS = 60
YEAR_SECONDS = 31_536_000

router = Router(tags=["results"])
NOT_YET: dict[int | str, dict[str, Any]] = {
    202: {
        "description": "The image is not made yet: its job is at `Location`. Ask again after the time in `Retry-After`",
        "model": Accepted,
        "headers": answer_headers("Location", "Retry-After", "Cache-Control"),
        "links": job_links(),
    }
}


async def _maker(
    request: Request, stores: StoresDep, settings: SettingsDep, feed: FeedDep, metrics: MetricsDep
) -> ImageMaker:
    return ImageMaker(request, stores, settings, feed, metrics)


@router.get(
    ROUTE,
    summary="Fetch an image, made on demand",
    operation_id="get_image",
    dependencies=[Depends(hold_download)],
    response_class=Response,
    responses={**RESPONSES, **NOT_YET, **errors(404, 409, 410, 412, 416)},
    openapi_extra={"parameters": request_headers("If-Match", "If-None-Match", "Range", "If-Range")},
)
async def image(  # noqa: PLR0913, PLR0917  # FastAPI injects by parameter
    task_id: str,
    preset: str,
    file: str,
    request: Request,
    presets: PresetsDep,
    permission: PermissionDep,
    maker: Annotated[ImageMaker, Depends(_maker)],
    v: Annotated[
        str | None,
        Query(
            description="The version of the preset. If it is the current one, the answer may be cached for ever.",
            max_length=64,
            examples=["5f2b9c0a7d13e846"],
        ),
    ] = None,
    wait: Annotated[
        float | None,
        Query(
            ge=0,
            le=MAX_WAIT_SECONDS,
            description="How many seconds to wait for an image that is being made. By default "
            "`DARKROOM_RESULTS__IMAGE_WAIT`.",
        ),
    ] = None,
    exp: Annotated[
        int | None, Query(description="When a signed link ends, in seconds since 1970.", ge=0, examples=[1893456000])
    ] = None,
) -> Response:
    """Send one file of a rendition, such as `card@2x.avif`, as the preset is now.

    The job whose original it is made of may have been uploaded with any preset. The file may be in any format that
    Darkroom writes, whatever the rendition's formats are. The first request has it made; all others get the same file.
    """
    del exp  # the middleware has checked it
    wanted = ImageRequest.read(presets, permission, preset, file)
    deadline = monotonic() + (maker.settings.results.image_wait if wait is None else wait)
    cache_control = _build_cache_control(permission, is_current=v == wanted.preset.version)
    for _ in range(2):  # what is lost, or has just been replaced, is made or found again once
        parent = await permission.get_job(maker.stores.jobs, task_id, rendition=wanted.rendition)
        permission.check_image(parent, preset)
        job = await maker.find_job(parent, wanted)
        job = await maker.wait(job, wanted, deadline - monotonic())
        is_served = has_image(job, wanted)
        if not is_served and (job.is_active or not job.keeps_blobs):
            return _answer_not_yet(job, root_path_of(request.scope))
        if not is_served and job.kind is not Kind.IMAGE:
            continue  # the parent has ended with other results than it was about to make
        try:
            return await _answer(maker, permission).send(
                find_served(job, wanted.selection), request, cache_control=cache_control
            )
        except FileNotFoundError:
            if job.kind is Kind.IMAGE:
                await remove_lost_image(job, maker.stores)
    raise Expired(NO_LONGER_KEPT)


def _answer(maker: ImageMaker, permission: Permission) -> ResultAnswer:
    settings = maker.settings
    is_for_pages = permission.scope in {Scope.LINK, Scope.READ} or bool(settings.cors.origins)
    return ResultAnswer(maker.stores.blobs, settings.results, is_for_pages or settings.http.cross_origin_results)


def _answer_not_yet(job: Job, root_path: str) -> Response:
    """Answer that a job is making the image. One whose removal has begun is made again by a later request."""
    links = Links.of(job.id, root_path=root_path)
    accepted = Accepted(task_id=job.id, status=job.state, links=links)
    headers = {"Location": links.status, "Retry-After": str(POLL_SECONDS), "Cache-Control": "no-store"}
    content = accepted.model_dump_json()
    return Response(content, status.HTTP_202_ACCEPTED, headers, media_type="application/json")


def _build_cache_control(permission: Permission, *, is_current: bool) -> str:
    """Return who may keep the answer, and for how long: not beyond the end of a link.

    Who has a signed link may have the image, and so may a cache that all of them share. So it is without API keys.
    """
    visibility = "public" if permission.scope is Scope.LINK or permission.owner is None else "private"
    if not is_current:
        return f"{visibility}, no-cache"
    if permission.scope is Scope.LINK and permission.expires_ms is not None:
        return f"{visibility}, max-age={min(YEAR_SECONDS, max(0, permission.expires_ms - now_ms()) // 1000)}"
    return f"{visibility}, max-age={YEAR_SECONDS}, immutable"
