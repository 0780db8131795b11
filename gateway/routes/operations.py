"""The POST routes: previews of an upload, and the three single operations, all accepted the same way."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, status

from gateway.acceptance import AcceptanceDep
from gateway.backpressure import shed_load
from gateway.form_schemas import request_body
from gateway.forms import CropForm, GrayscaleForm, Output, PreviewForm, ResizeForm
from gateway.schemas import Accepted
from stages.limits import Limits
from storage.documents import Kind

router = APIRouter(tags=["operations"], dependencies=[Depends(shed_load)])
ACCEPTED = status.HTTP_202_ACCEPTED


FORMS: dict[str, type[Output]] = {
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
async def upload(acceptance: AcceptanceDep) -> Accepted:
    """Accept one photo and answer at once; its previews are made behind the answer."""
    return await acceptance.accept(Kind.PREVIEWS, PreviewForm)


@router.post("/crop", status_code=ACCEPTED)
async def crop(acceptance: AcceptanceDep) -> Accepted:
    """Cut a box out of the upright image: by its pixels, or the largest centred one of an aspect."""
    return await acceptance.accept(Kind.CROP, CropForm)


@router.post("/grayscale", status_code=ACCEPTED)
async def grayscale(acceptance: AcceptanceDep) -> Accepted:
    """Turn the image grey, at its full size."""
    return await acceptance.accept(Kind.GRAYSCALE, GrayscaleForm)


@router.post("/resize", status_code=ACCEPTED)
async def resize(acceptance: AcceptanceDep) -> Accepted:
    """Bring the image to a box."""
    return await acceptance.accept(Kind.RESIZE, ResizeForm)
