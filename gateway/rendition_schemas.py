"""The models of a job's renditions in the API's answers."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from gateway.image_schemas import Placeholder, has_renditions
from gateway.openapi.numbers import Density, Positive
from gateway.pictures import build_picture, build_srcset, find_main
from gateway.variants import Variant, list_variants, variant_name, version_of
from pipeline import rendition_headers
from pipeline.results import find_results, served_job
from pipeline.routing import VALIDATE
from stages.background import is_transparent
from stages.rendition import WHITE
from storage.documents import Job


class VariantStatus(BaseModel):
    """One file of a rendition: a format at a density."""

    url: str = Field(
        description="Its address with the version, so that it may be cached for ever.",
        examples=["/result/019392f0-7c1e-7d4a-b4d8-0f5e2c9a1b77/card@2x.avif?v=5f2b9c0a7d13e846"],
    )
    format: str = Field(examples=["avif"])
    media_type: str = Field(examples=["image/avif"])
    dpr: Density = Field(
        description="The density. If the original has no more pixels than the density before, it is the same file."
    )
    width: Positive
    height: Positive
    bytes: Positive
    sha256: str


class RenditionStatus(BaseModel):
    """One rendition of a job, once its stage is done.

    The fields from `media_type` to `sha256` are those of the file that every client shows: its last format at its
    lowest density.
    """

    url: str = Field(description="Its address. The answer is in the best format that `Accept` names.")
    filename: str = Field(
        description="The file name to save it under, as in `Content-Disposition`: the stem of the upload's name, the "
        "rendition or operation, and the usual extension.",
        examples=["photo-small.jpg", "photo-crop.webp"],
    )
    media_type: str
    format: str
    width: Positive
    height: Positive
    bytes: Positive
    sha256: str
    version: str = Field(
        description="Changes when the rendition is made again. With it as the query parameter `v`, `url` may be cached "
        "for ever.",
        examples=["5f2b9c0a7d13e846"],
    )
    variants: list[VariantStatus] = Field(description="All its files, the best format first.")
    srcset: dict[str, str] = Field(
        description="What the attribute `srcset` of an image, or of a `<source>`, says for each format.",
        examples=[{"avif": "/result/.../card.avif?v=5f2b 400w, /result/.../card@2x.avif?v=5f2b 800w"}],
    )
    picture: str = Field(
        description="The HTML of a `<picture>` with all formats and densities, the size, and the colour to show until "
        "it is loaded. Its `alt` is empty.",
        examples=['<picture><img src="/result/.../small.jpg?v=5f2b" width="160" height="120" alt=""></picture>'],
    )


class Preview(BaseModel):
    """The smallest rendition of a job, for a list."""

    url: str = Field(
        description="Its address with the version. The answer is in the best format that `Accept` names.",
        examples=["/result/019392f0-7c1e-7d4a-b4d8-0f5e2c9a1b77/small?v=5f2b9c0a7d13e846"],
    )
    bytes: Positive = Field(description="The size in the format that every client shows.")

    @classmethod
    def of(cls, job: Job, *, root_path: str) -> Preview | None:
        """Return the smallest rendition that can be fetched; None if there is none."""
        results = find_results(job) if has_renditions(job) else {}
        if not results:
            return None
        name = min(results, key=lambda each: int(results[each]["width"]))
        url = f"{root_path}/result/{job.id}/{name}?v={version_of(list_variants(results[name]))}"
        return cls(url=url, bytes=results[name]["bytes"])


def build_renditions(job: Job, root_path: str) -> dict[str, RenditionStatus]:
    """Build the public view of each rendition that can be fetched. Its URL begins with the root path."""
    results = find_results(job) if has_renditions(job) else {}
    placeholder = Placeholder.of(job) if results else None
    return {
        name: _build_rendition(job, name, list_variants(result), root_path, placeholder)
        for name, result in results.items()
    }


def _build_rendition(
    job: Job, name: str, records: list[Variant], root_path: str, placeholder: Placeholder | None
) -> RenditionStatus:
    folder, version = f"{root_path}/result/{job.id}", version_of(records)
    variants = [record | {"url": f"{folder}/{variant_name(name, record)}?v={version}"} for record in records]
    main, srcset = find_main(variants), build_srcset(variants)
    return RenditionStatus(
        **{field: main[field] for field in ("media_type", "format", "width", "height", "bytes", "sha256")},
        url=f"{folder}/{name}",
        filename=rendition_headers.filename(job, name, format=main["format"], dpr=main["dpr"]),
        version=version,
        variants=[VariantStatus(**variant) for variant in variants],
        srcset=srcset,
        picture=build_picture(variants, srcset, **_choose_placeholder(job, name, placeholder)),
    )


def _choose_placeholder(job: Job, name: str, placeholder: Placeholder | None) -> dict[str, str | None]:
    """Return what a page shows until it has the rendition.

    The placeholder is that of the original, so a rendition that has steps has none: a grey image is not brown before. A
    colour stays behind an image that is loaded, so one with transparent pixels has none.
    """
    stored = served_job(job).operation.renditions.get(name)
    definition: dict[str, Any] = stored if isinstance(stored, dict) else {}
    if placeholder is None or definition.get("steps"):
        return {}
    can_be_transparent = (served_job(job).stages[VALIDATE].result or {}).get("has_alpha", True)
    has_clear_padding = is_transparent(definition.get("background") or WHITE)
    color = None if can_be_transparent or has_clear_padding else placeholder.color
    return {"color": color, "thumbhash": placeholder.thumbhash}
