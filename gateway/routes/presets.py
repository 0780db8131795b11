"""The presets that are in force: what each makes of an upload, and a drawing of it."""

from __future__ import annotations

from hashlib import sha256
from http import HTTPStatus

from fastapi import Request, Response
from pydantic import BaseModel, Field

from gateway.conditional_requests import evaluate_preconditions
from gateway.dependencies import PermissionDep, PresetsDep, RootPathDep
from gateway.openapi.errors import errors
from gateway.openapi.headers import answer_headers, request_headers
from gateway.openapi.numbers import Density, Positive
from gateway.permission import Permission
from gateway.preset_example import draw_preset
from gateway.problems import PresetNotFound
from gateway.result_answer import IMAGE
from gateway.routing import Router
from pipeline.presets.definition import PresetDefinition, RenditionDefinition
from pipeline.presets.preset import Preset
from pipeline.presets.registry import Presets, PresetUnknown
from stages.resize_plan import BoxFit

EXAMPLE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private, no-cache",
}

router = Router(tags=["presets"])


class PresetRendition(BaseModel):
    """One rendition: the box that its image comes to, and the files that it is made into."""

    edge: Positive | None = Field(description="The longest side in pixels; null if there is a width or a height.")
    width: Positive | None
    height: Positive | None
    fit: BoxFit
    formats: list[str] = Field(description="The formats, the best one first.", examples=[["avif", "webp", "jpeg"]])
    dpr: list[Density] = Field(description="The densities: the file has so many times the width and height.")
    steps: list[str] = Field(description="The names of the steps, a watermark last.", examples=[["grayscale"]])

    @classmethod
    def of(cls, definition: RenditionDefinition) -> PresetRendition:
        """Return what clients see of a rendition."""
        spec = definition.spec()
        return cls(
            edge=spec.edge,
            width=spec.width,
            height=spec.height,
            fit=spec.fit,
            formats=list(spec.formats),
            dpr=list(spec.dpr),
            steps=list(definition.step_names()),
        )


class PresetLinks(BaseModel):
    """Where the preset and its drawing are."""

    self: str = Field(examples=["/presets/product"])
    example: str = Field(description="A drawing of the renditions, as SVG.", examples=["/presets/product/example.svg"])


class PresetSummary(BaseModel):
    """A preset: what an upload that names it becomes."""

    name: str = Field(examples=["product"])
    version: str = Field(description="Changes when the results do.", examples=["0f2c3ab94e1d5a77"])
    description: str
    fields: list[str] = Field(description="The fields of an upload that it may set, besides the preset.")
    renditions: dict[str, PresetRendition]
    links: PresetLinks

    @classmethod
    def of(cls, preset: Preset, *, root_path: str) -> PresetSummary:
        """Return what clients see of a preset. Its links begin with the root path."""
        path = f"{root_path}/presets/{preset.name}"
        definition = preset.definition
        return cls(
            name=preset.name,
            version=preset.version,
            description=definition.description,
            fields=list(definition.fields),
            renditions={name: PresetRendition.of(each) for name, each in definition.renditions.items()},
            links=PresetLinks(self=path, example=f"{path}/example.svg"),
        )


class PresetList(BaseModel):
    """The presets that the caller may use, sorted by name."""

    presets: list[PresetSummary]


class PresetDetails(PresetSummary):
    """A preset with its whole definition, as its file could say it."""

    definition: PresetDefinition

    @classmethod
    def of(cls, preset: Preset, *, root_path: str) -> PresetDetails:
        """Return everything of a preset."""
        summary = PresetSummary.of(preset, root_path=root_path)
        return cls(**dict(summary), definition=preset.definition)


@router.get("/presets", summary="List the presets", operation_id="list_presets")
async def list_presets(presets: PresetsDep, permission: PermissionDep, root_path: RootPathDep) -> PresetList:
    """Return the presets that are in force and that the caller may use."""
    return PresetList(
        presets=[PresetSummary.of(each, root_path=root_path) for each in permission.list_presets(presets)]
    )


@router.get("/presets/{preset}", summary="Get a preset", operation_id="get_preset", responses=errors(404))
async def get_preset(
    preset: str, presets: PresetsDep, permission: PermissionDep, root_path: RootPathDep
) -> PresetDetails:
    """Return one preset, with its definition."""
    return PresetDetails.of(_get(preset, presets, permission), root_path=root_path)


@router.get(
    "/presets/{preset}/example.svg",
    summary="Get a drawing of a preset",
    operation_id="get_preset_example",
    response_class=Response,
    responses={
        200: {
            "description": "The boxes of all renditions, in one scale",
            "content": IMAGE,
            "headers": answer_headers("ETag", "Cache-Control"),
        },
        304: {"description": "The drawing matches `If-None-Match`", "headers": answer_headers("ETag", "Cache-Control")},
        **errors(404, 412),
    },
    openapi_extra={"parameters": request_headers("If-Match", "If-None-Match")},
)
async def get_preset_example(request: Request, preset: str, presets: PresetsDep, permission: PermissionDep) -> Response:
    """Draw each rendition with its size, its fit, its formats and its densities. No image is needed for it."""
    found = _get(preset, presets, permission)
    drawing = draw_preset(found).encode()
    headers = {**EXAMPLE_HEADERS, "ETag": f'"{sha256(drawing).hexdigest()}"'}
    if evaluate_preconditions(request, headers["ETag"]):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(drawing, media_type="image/svg+xml", headers=headers)


def _get(name: str, presets: Presets, permission: Permission) -> Preset:
    try:
        found = presets.get(name)
    except PresetUnknown:
        found = None
    if found is None or found not in permission.list_presets(presets):
        raise PresetNotFound(
            "There is no preset of this name that you may use. GET /presets lists those that there are."
        )
    return found
