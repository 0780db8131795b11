"""The POST routes that create jobs: an upload with its previews, and the operations."""

from __future__ import annotations

from typing import Any

from fastapi import Depends, status

from gateway.openapi.errors import errors
from gateway.openapi.headers import answer_headers, request_headers
from gateway.openapi.links import job_links
from gateway.routing import Router
from gateway.schemas import Accepted
from gateway.submission.backpressure import shed_load
from gateway.submission.form_schemas import request_body
from gateway.submission.forms import FORMS, CropForm, GrayscaleForm, PreviewForm, ProcessForm, ResizeForm
from gateway.submission.submission import SubmissionDep
from stages.limits import Limits
from storage.documents import OUTPUT, Kind

router = Router(tags=["operations"], dependencies=[Depends(shed_load)])


def _describe(*, rendition: str | None = None) -> dict[str, Any]:
    """Return what the OpenAPI document says of a POST route, with the rendition that its jobs have, if it is known."""
    answer = {
        "description": "The job is accepted",
        "headers": answer_headers("Location", "Retry-After", "Idempotency-Replayed", "View-Token"),
        "links": job_links(rendition=rendition),
    }
    return {
        "status_code": status.HTTP_202_ACCEPTED,
        "responses": {202: answer, **errors(404, 409)},
        "openapi_extra": {"parameters": request_headers("Idempotency-Key", "Content-Digest")},
    }


def describe_forms(document: dict[str, Any], limits: Limits, *, max_steps: int) -> None:
    """Add the forms to the OpenAPI document of these routes."""
    for path, form in FORMS.items():
        document["paths"][path]["post"]["requestBody"] = request_body(form, limits, max_steps=max_steps)


@router.post("/upload", summary="Upload a photo", operation_id="upload_photo", **_describe())
async def upload(submission: SubmissionDep) -> Accepted:
    """Accept one photo and answer at once. Its previews are made after the answer."""
    return await submission.create_job(Kind.PREVIEWS, PreviewForm)


@router.post("/crop", summary="Crop an image", operation_id="crop_image", **_describe(rendition=OUTPUT))
async def crop(submission: SubmissionDep) -> Accepted:
    """Cut a box out of the upright image: one given in pixels, or the largest centred box of an aspect."""
    return await submission.create_job(Kind.CROP, CropForm)


@router.post(
    "/grayscale",
    summary="Convert an image to grayscale",
    operation_id="convert_to_grayscale",
    **_describe(rendition=OUTPUT),
)
async def grayscale(submission: SubmissionDep) -> Accepted:
    """Convert the image to shades of grey, at its full size."""
    return await submission.create_job(Kind.GRAYSCALE, GrayscaleForm)


@router.post("/resize", summary="Resize an image", operation_id="resize_image", **_describe(rendition=OUTPUT))
async def resize(submission: SubmissionDep) -> Accepted:
    """Resize the image to a box."""
    return await submission.create_job(Kind.RESIZE, ResizeForm)


@router.post("/process", summary="Apply steps to an image", operation_id="process_image", **_describe(rendition=OUTPUT))
async def process(submission: SubmissionDep) -> Accepted:
    """Apply steps to the image, one after another: crop, resize, blur, a watermark and so on, for one output."""
    return await submission.create_job(Kind.PROCESS, ProcessForm)
