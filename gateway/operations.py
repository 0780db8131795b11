"""The POST routes: previews of an upload, and the three single operations, all accepted the same way."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, status
from pydantic import BaseModel

from gateway.acceptance import AcceptanceDep
from gateway.backpressure import shed_load
from gateway.forms import CropForm, GrayscaleForm, PreviewForm, ResizeForm
from gateway.intake import FIELD
from gateway.schemas import Accepted
from storage.documents import Kind

router = APIRouter(tags=["operations"], dependencies=[Depends(shed_load)])
ACCEPTED = status.HTTP_202_ACCEPTED


def _body(form: type[BaseModel]) -> dict[str, Any]:
    """Describe a form and its file for OpenAPI: the body is read as a stream, so FastAPI does not see it."""
    schema = form.model_json_schema()
    image = {"type": "string", "contentMediaType": "application/octet-stream", "description": "The image."}
    schema["properties"] = {FIELD: image} | schema["properties"]
    if "source_task_id" not in schema["properties"]:
        schema["required"] = [FIELD]
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


@router.post("/upload", status_code=ACCEPTED, openapi_extra=_body(PreviewForm))
async def upload(acceptance: AcceptanceDep) -> Accepted:
    """Accept one photo and answer at once; its previews are made behind the answer."""
    return await acceptance.accept(Kind.PREVIEWS, PreviewForm)


@router.post("/crop", status_code=ACCEPTED, openapi_extra=_body(CropForm))
async def crop(acceptance: AcceptanceDep) -> Accepted:
    """Cut a box out of the upright image: by its pixels, or the largest centred one of an aspect."""
    return await acceptance.accept(Kind.CROP, CropForm)


@router.post("/grayscale", status_code=ACCEPTED, openapi_extra=_body(GrayscaleForm))
async def grayscale(acceptance: AcceptanceDep) -> Accepted:
    """Turn the image grey, at its full size."""
    return await acceptance.accept(Kind.GRAYSCALE, GrayscaleForm)


@router.post("/resize", status_code=ACCEPTED, openapi_extra=_body(ResizeForm))
async def resize(acceptance: AcceptanceDep) -> Accepted:
    """Bring the image to a box."""
    return await acceptance.accept(Kind.RESIZE, ResizeForm)
