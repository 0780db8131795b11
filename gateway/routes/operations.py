"""The POST routes that create jobs: an upload with its previews, and the three operations."""

from __future__ import annotations

from typing import Any

from fastapi import Depends, status

from gateway.routing import Router
from gateway.schemas import Accepted
from gateway.submission.backpressure import shed_load
from gateway.submission.form_schemas import request_body
from gateway.submission.forms import FORMS, CropForm, GrayscaleForm, PreviewForm, ResizeForm
from gateway.submission.submission import SubmissionDep
from stages.limits import Limits
from storage.documents import Kind

router = Router(tags=["operations"], dependencies=[Depends(shed_load)])
ACCEPTED = status.HTTP_202_ACCEPTED


def describe_forms(document: dict[str, Any], limits: Limits) -> None:
    """Add the forms to the OpenAPI document of these routes."""
    for path, form in FORMS.items():
        document["paths"][path]["post"]["requestBody"] = request_body(form, limits)


@router.post("/upload", summary="Upload a photo", status_code=ACCEPTED)
async def upload(submission: SubmissionDep) -> Accepted:
    """Accept one photo and answer at once. Its previews are made after the answer."""
    return await submission.create_job(Kind.PREVIEWS, PreviewForm)


@router.post("/crop", summary="Crop an image", status_code=ACCEPTED)
async def crop(submission: SubmissionDep) -> Accepted:
    """Cut a box out of the upright image: one given in pixels, or the largest centred box of an aspect."""
    return await submission.create_job(Kind.CROP, CropForm)


@router.post("/grayscale", summary="Convert an image to grayscale", status_code=ACCEPTED)
async def grayscale(submission: SubmissionDep) -> Accepted:
    """Convert the image to shades of grey, at its full size."""
    return await submission.create_job(Kind.GRAYSCALE, GrayscaleForm)


@router.post("/resize", summary="Resize an image", status_code=ACCEPTED)
async def resize(submission: SubmissionDep) -> Accepted:
    """Resize the image to a box."""
    return await submission.create_job(Kind.RESIZE, ResizeForm)
