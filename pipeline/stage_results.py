"""What stages have recorded in a job, as far as it is read again: the check of a stored job looks at it."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field, Strict, ValidationError

from pipeline.routing import EXPORT, VALIDATE
from pipeline.stage_order import has_stage, stage_by_rendition
from storage.documents import JobRecord

Text = Annotated[str, Strict(), Field(pattern=r"^[ -~]+$", max_length=200)]
Key = Annotated[str, Strict(), Field(pattern=r"^\P{Cc}+$", max_length=1024)]
Number = Annotated[int, Strict(), Field(ge=0)]
Density = Annotated[float, Strict(), Field(gt=0, allow_inf_nan=False)]
Flag = Annotated[bool, Strict()]


class _Written(BaseModel):
    """What any stage records that has written a blob, or none."""

    blob: Key | None = None
    variants: None = None


class _Facts(BaseModel):
    """What validate records: an older version only the width and the height."""

    width: Number | None = None
    height: Number | None = None
    format: Text | None = None
    frames: Number | None = None
    orientation: Number | None = None
    bit_depth: Number | None = None
    has_alpha: Flag | None = None
    has_gps: Flag | None = None


class _File(BaseModel):
    """One file of a rendition."""

    blob: Key
    format: Text
    media_type: Text
    width: Annotated[Number, Field(ge=1)]
    height: Annotated[Number, Field(ge=1)]
    bytes: Number
    sha256: Annotated[str, Strict(), Field(pattern=r"^([0-9a-f]{2})+$", max_length=64)]


class _Variant(_File):
    """One file of a rendition that has several."""

    dpr: Density


class _Rendition(_File):
    """What is recorded of a rendition: its main file, and all of them if there are several."""

    dpr: Density = 1
    variants: list[_Variant] = Field(default_factory=list)


class _Object(BaseModel):
    """One object in a bucket."""

    rendition: Text
    format: Text
    dpr: Density
    key: Annotated[str, Strict()]
    bytes: Number


class _Export(BaseModel):
    """What export records."""

    destination: Text
    objects: list[_Object]


def check_results(job: JobRecord) -> None:
    """Raise ValueError for what another version has recorded, or a hand has changed: answers are made of it."""
    models: dict[str, type[BaseModel]] = {VALIDATE: _Facts} | ({EXPORT: _Export} if has_stage(job, EXPORT) else {})
    models |= dict.fromkeys(stage_by_rendition(job).values(), _Rendition)
    for name, record in job.stages.items():
        try:
            if record.result:
                models.get(name, _Written).model_validate(record.result)
        except ValidationError as error:
            raise ValueError(f"stages.{name}.result: unknown") from error
