"""The models of a job's original and its placeholder in the API's answers."""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import BaseModel, Field, ValidationError

from gateway.openapi.numbers import Count, Orientation, Positive
from pipeline.results import served_job
from pipeline.routing import NORMALIZE, VALIDATE
from storage.documents import Job, JobState

ModelT = TypeVar("ModelT", bound=BaseModel)
_FACTS = ("width", "height", "format", "frames", "orientation", "bit_depth", "has_alpha", "has_gps")


class ColorSpaceStatus(BaseModel):
    """The colour space that an original states. Results are in sRGB."""

    name: str = Field(
        description="The description of its ICC profile, at most 64 characters, or the usual name of the space.",
        examples=["Display P3", "sRGB"],
    )
    source: str = Field(
        description="Where it is stated: `icc`, an ICC profile; `cicp`; `gama`, the gamma of a PNG; `none`.",
        examples=["icc", "none"],
    )


class OriginalStatus(BaseModel):
    """The original: the bytes as uploaded or fetched. Until they are fetched, it has 0 bytes and an empty `sha256`.

    The fields after `sha256` are null until its validate stage is done. Of a job that an older version validated, only
    its width and height are known.
    """

    name: str | None
    media_type: str
    bytes: Count
    sha256: str
    width: Positive | None = Field(None, description="In pixels as displayed, after its orientation is applied.")
    height: Positive | None = Field(None, description="In pixels as displayed, after its orientation is applied.")
    format: str | None = Field(None, examples=["jpeg"])
    frames: Positive | None = Field(None, description="The number of frames: 1, unless it is an animation.")
    orientation: Orientation | None = Field(
        None,
        description="Its EXIF orientation, 1 to 8: results are upright. 1 for an AVIF or HEIC: its container turns it.",
    )
    bit_depth: Positive | None = Field(
        None, description="The bits of a channel; 8 where pixels are entries of a palette."
    )
    color_space: ColorSpaceStatus | None = None
    has_alpha: bool | None = Field(None, description="Whether it can have transparent pixels.")
    has_gps: bool | None = Field(
        None, description="Whether its metadata state a position, which no answer tells; null if they are damaged."
    )

    @classmethod
    def of(cls, job: Job) -> OriginalStatus:
        """Build the public view of the original of a job, with what its validate stage found."""
        found = served_job(job).stages[VALIDATE].result or {}
        facts = {name: found.get(name) for name in _FACTS}
        color_space = _read(ColorSpaceStatus, found.get("colour_space"))
        return cls(**job.original.model_dump(exclude={"blob"}), **facts, color_space=color_space)


class SourceStatus(BaseModel):
    """Where the original of a job was to be fetched from: either a URL or an object in a bucket."""

    url: str | None = Field(
        description="The URL without its query and fragment. null for an object.",
        examples=["https://shop.example/photos/1.jpg"],
    )
    key: str | None = Field(description="The object, as the request or event names it. null for a URL.")
    version: str | None = Field(description="The version of the object. null for the one that was current.")

    @classmethod
    def of(cls, job: Job) -> SourceStatus | None:
        """Build the public view of where a job's original comes from; None for an upload."""
        source = job.source
        if source is None:
            return None
        return cls(url=source.public_address if source.is_url else None, key=source.key, version=source.version)


class Placeholder(BaseModel):
    """What a page can show until it has the image: its ThumbHash, its BlurHash and its colour."""

    thumbhash: str = Field(
        description="The ThumbHash in base64: a blur with the alpha and about the aspect ratio of the image.",
        examples=["3OcRJYB4d3h/iIeHeEh3eIhw+j2w"],
    )
    blurhash: str = Field(
        description="The BlurHash, 28 characters: a blur of the image laid on `background`.",
        examples=["LEHV6nWB2yk8pyo0adR*.7kCMdnj"],
    )
    color: str = Field(
        description="The mean colour of the image laid on `background`, as #rrggbb.", examples=["#7f6a52"]
    )

    @classmethod
    def of(cls, job: Job) -> Placeholder | None:
        """Return the placeholder of a job whose renditions can be fetched, now or once they are made."""
        record = served_job(job).stages.get(NORMALIZE)
        return _read(cls, (record.result or {}).get("placeholder")) if record and has_renditions(job) else None


JobPlaceholder = Annotated[
    Placeholder | None,
    Field(
        description="Set as soon as the stage `normalize` is done. Null for an operation, and if there are no results."
    ),
]


def _read(model: type[ModelT], found: object) -> ModelT | None:
    """Return what a stage has stored. None if it is missing, or if a newer version has stored something else."""
    try:
        return model.model_validate(found)
    except ValidationError:
        return None


def has_renditions(job: Job) -> bool:
    """Whether renditions of the job can be fetched: it has not failed, and its blobs are not removed.

    While a job is reprocessed, those from before can.
    """
    is_reprocessed = job.previous is not None and job.is_active
    return (is_reprocessed or job.state in (JobState.PROCESSING, JobState.DONE)) and job.keeps_blobs


def has_facts(job: Job) -> bool:
    """Whether everything was learned of the original of a job: an older version learned its format and size only."""
    return "colour_space" in (job.stages[VALIDATE].result or {})
