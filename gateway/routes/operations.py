"""The POST routes: previews of an upload, and the three single operations, all accepted the same way."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, status

from gateway.schemas import Accepted
from gateway.submission.backpressure import shed_load
from gateway.submission.form_schemas import request_body
from gateway.submission.forms import CropForm, GrayscaleForm, OutputForm, PreviewForm, ResizeForm
from gateway.submission.submission import SubmissionDep
from stages.limits import Limits
from storage.documents import Kind

router = APIRouter(tags=["operations"], dependencies=[Depends(shed_load)])
ACCEPTED = status.HTTP_202_ACCEPTED


FORMS: dict[str, type[OutputForm]] = {
    "/upload": PreviewForm,
    "/crop": CropForm,
    "/grayscale": GrayscaleForm,
    "/resize": ResizeForm,
}


def describe_forms(document: dict[str, Any], limits: Limits) -> None:
    """Add the forms to an OpenAPI document of these routes."""
    for path, form in FORMS.items():
        document["paths"][path]["post"]["requestBody"] = request_body(form, limits)


@router.post("/upload", status_code=ACCEPTED)
async def upload(submission: SubmissionDep) -> Accepted:
    """Accept one photo and answer at once; its previews are made behind the answer."""
    return await submission.create_job(Kind.PREVIEWS, PreviewForm)


@router.post("/crop", status_code=ACCEPTED)
async def crop(submission: SubmissionDep) -> Accepted:
    """Cut a box out of the upright image: by its pixels, or the largest centred one of an aspect."""
    return await submission.create_job(Kind.CROP, CropForm)


@router.post("/grayscale", status_code=ACCEPTED)
async def grayscale(submission: SubmissionDep) -> Accepted:
    """Turn the image grey, at its full size."""
    return await submission.create_job(Kind.GRAYSCALE, GrayscaleForm)


@router.post("/resize", status_code=ACCEPTED)
async def resize(submission: SubmissionDep) -> Accepted:
    """Bring the image to a box."""
    return await submission.create_job(Kind.RESIZE, ResizeForm)
