"""Resumable uploads: the routes of the tus protocol, version 1.0.0."""

from __future__ import annotations

from email.utils import formatdate
from typing import Any

from fastapi import Depends, Request, Response, status
from fastapi.responses import JSONResponse

from gateway.dependencies import RootPathDep
from gateway.openapi.errors import errors
from gateway.openapi.headers import answer_headers, request_headers
from gateway.problems import UnsupportedMediaType, VersionUnsupported
from gateway.resumable.protocol import MEDIA_TYPE, VERSION, read_length, read_offset
from gateway.resumable.uploads import Progress, UploadServiceDep
from gateway.routing import Router
from gateway.schemas import CreatedUpload
from gateway.submission.backpressure import shed_load
from storage.resumable_uploads import ResumableUpload


async def _check_version(request: Request) -> None:
    if request.headers.get("tus-resumable") != VERSION:
        raise VersionUnsupported(
            f"Tus-Resumable is missing, or is another version. Send Tus-Resumable: {VERSION}.",
            headers={"Tus-Version": VERSION},
        )


router = Router(tags=["resumable uploads"], dependencies=[Depends(_check_version)])
NO_CONTENT = status.HTTP_204_NO_CONTENT
PROGRESS = ("Upload-Offset", "Upload-Expires", "Task-ID", "Link", "View-Token")
BODY = {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}


def _describe_route(
    success: int,
    *headers: str,
    operation_id: str,
    refusals: dict[int | str, Any],
    takes: tuple[str, ...] = (),
    body: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return what the OpenAPI document says of a route: what it takes, and the headers of its answer."""
    extra: dict[str, Any] = {"parameters": request_headers("Tus-Resumable", *takes)}
    return {
        "operation_id": operation_id,
        "responses": {success: {"headers": answer_headers("Tus-Resumable", "Cache-Control", *headers)}, **refusals},
        "openapi_extra": extra | ({"requestBody": body} if body else {}),
    }


@router.post(
    "/files",
    summary="Create a resumable upload",
    status_code=status.HTTP_201_CREATED,
    response_model=CreatedUpload,
    dependencies=[Depends(shed_load)],
    **_describe_route(
        201,
        *("Location", *PROGRESS),
        operation_id="create_resumable_upload",
        takes=("Upload-Length", "Upload-Metadata", "Upload-Checksum"),
        refusals=errors(409, 412, 460),
        body={"required": False, "content": BODY},
    ),
)
async def create(request: Request, uploads: UploadServiceDep, root_path: RootPathDep) -> Response:
    """Create an upload of a file whose size is in `Upload-Length`. A body has the first bytes, or all of them."""
    has_body = _has_body(request)
    if has_body:
        _check_media_type(request)
    upload, warnings = await uploads.create(read_length(request.headers), request.headers.get("upload-metadata"))
    progress = Progress(upload)
    if has_body:
        try:
            progress = await uploads.receive(progress, 0)
        except BaseException:
            await uploads.discard(upload)
            raise
    headers = {"Location": f"{root_path}/files/{upload.id}"} | _describe(progress)
    return JSONResponse(CreatedUpload(warnings=warnings).model_dump(mode="json"), status.HTTP_201_CREATED, headers)


@router.head(
    "/files/{task_id}",
    summary="Get the offset of a resumable upload",
    response_class=Response,
    **_describe_route(
        200,
        *("Upload-Length", "Upload-Metadata", *PROGRESS),
        operation_id="get_resumable_upload",
        refusals=errors(404, 410, 412),
    ),
)
async def show(task_id: str, uploads: UploadServiceDep) -> Response:
    """Return in `Upload-Offset` how many bytes are stored."""
    progress = await uploads.find(task_id)
    headers = {"Upload-Length": str(progress.upload.length)} | _describe(progress)
    if progress.upload.metadata is not None:
        headers["Upload-Metadata"] = progress.upload.metadata
    return Response(headers=headers)


@router.patch(
    "/files/{task_id}",
    summary="Send bytes of a resumable upload",
    status_code=NO_CONTENT,
    response_class=Response,
    **_describe_route(
        204,
        *PROGRESS,
        operation_id="append_to_resumable_upload",
        takes=("Upload-Offset", "Upload-Checksum"),
        refusals=errors(404, 409, 410, 412, 460),
        body={"required": True, "content": BODY},
    ),
)
async def receive(task_id: str, request: Request, uploads: UploadServiceDep) -> Response:
    """Store the body, which begins at `Upload-Offset` of the file. The last bytes make the job."""
    _check_media_type(request)
    offset = read_offset(request.headers)
    progress = await uploads.receive(await uploads.find(task_id), offset)
    return Response(status_code=NO_CONTENT, headers=_describe(progress))


@router.delete(
    "/files/{task_id}",
    summary="Remove a resumable upload",
    status_code=NO_CONTENT,
    response_class=Response,
    **_describe_route(204, operation_id="remove_resumable_upload", refusals=errors(404, 409, 410, 412)),
)
async def remove(task_id: str, uploads: UploadServiceDep) -> Response:
    """Remove an upload. A complete one has become a job, which stays: `DELETE /jobs/{task_id}` removes that."""
    await uploads.remove(await uploads.find(task_id))
    return Response(status_code=NO_CONTENT)


def _describe(progress: Progress) -> dict[str, str]:
    """Return the headers about an upload, and about its job once it has one."""
    headers = {"Upload-Offset": str(progress.offset)}
    if progress.job is None:
        headers["Upload-Expires"] = _format_time(progress.upload)
        return headers
    links = progress.job.links
    link = f'<{links.status}>; rel="status", <{links.result}>; rel="result"'
    view = {"View-Token": progress.job.view_token} if progress.job.view_token else {}
    return headers | {"Task-ID": progress.job.task_id, "Link": link} | view


def _format_time(upload: ResumableUpload) -> str:
    return formatdate(upload.expires_ms / 1000, usegmt=True)


def _has_body(request: Request) -> bool:
    return request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers


def _check_media_type(request: Request) -> None:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != MEDIA_TYPE:
        raise UnsupportedMediaType(
            f"The body is not {MEDIA_TYPE}. Send the bytes of the file with this Content-Type.",
            headers={"Accept-Patch": MEDIA_TYPE},
        )
