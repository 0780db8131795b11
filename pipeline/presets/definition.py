"""The language of presets: what the file of presets may say, and what a job stores of it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from pipeline.presets.steps import StepDefinition, read_step
from stages.background import BACKGROUND_PATTERN, parse_background
from stages.rendition import WHITE
from stages.rendition_spec import RenditionFit, RenditionSpec

NAME = r"^[a-z][a-z0-9_]{0,31}$"
PresetName = Annotated[str, Field(pattern=NAME)]
RenditionName = Annotated[str, Field(pattern=NAME)]
Pixels = Annotated[int, Field(ge=1)]
Format = Literal["auto", "jpeg", "png", "webp", "avif"]
Density = Annotated[float, Field(ge=1, le=4)]
Quality = Annotated[int, Field(ge=1, le=100)]
Override = Literal["format", "quality", "background", "animated"]
Background = Annotated[
    str, AfterValidator(parse_background), Field(json_schema_extra={"pattern": BACKGROUND_PATTERN}, examples=["#fff"])
]


def _check_focus(focus: str) -> str:
    return focus


def _list_quality(quality: object) -> object:
    """Return the quality of each format; a number alone is that of all formats that have one."""
    return dict.fromkeys(("jpeg", "webp", "avif"), quality) if isinstance(quality, int) else quality


class Definition(BaseModel):
    """A part of the language. Unknown names are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class RenditionDefinition(Definition):
    """One rendition of a preset: its size, its steps, its formats and densities."""

    edge: Pixels | None = Field(None, description="The longest side, in pixels; instead of width and height.")
    width: Pixels | None = Field(None, description="The width of the box, in pixels.")
    height: Pixels | None = Field(None, description="The height of the box, in pixels.")
    fit: RenditionFit = Field(
        "inside",
        description="How the image comes to the box: `inside` bounds it; the others are those of CSS's `object-fit`.",
    )
    focus: Annotated[str, AfterValidator(_check_focus)] = Field(
        "centre",
        description="What a cut keeps: `centre`, `auto`, or a point as shares of width and height: `0.3,0.7`.",
        examples=["auto", "0.3,0.7"],
    )
    enlarge: bool = Field(default=False, description="Whether a small image grows.")
    formats: Annotated[tuple[Format, ...], Field(min_length=1)] = Field(
        ("auto",), description="The formats, the best one first; the last is for clients that state none."
    )
    dpr: Annotated[tuple[Density, ...], Field(min_length=1)] = Field(
        (1,), description="The densities: pixels of the file for each pixel of the definition."
    )
    quality: Annotated[dict[Literal["jpeg", "webp", "avif"], Quality], BeforeValidator(_list_quality)] = Field(
        default_factory=dict, description="The quality of each format, or one number for all."
    )
    background: Background | None = Field(
        None, description="The colour of padding, and behind transparent pixels in a format without alpha."
    )
    steps: tuple[StepDefinition, ...] = Field(
        (), description="What happens to the image after it has its size, in this order."
    )
    watermark: dict[str, Any] | None = Field(
        None, description="An image that is laid over the result, after the steps."
    )

    @model_validator(mode="after")
    def _check_size(self) -> RenditionDefinition:
        if (self.edge is None) == (self.width is None and self.height is None):
            raise ValueError("A rendition needs either an edge, or a width, a height or both.")
        if self.edge is not None and self.fit != "inside":
            raise ValueError("An edge bounds the longest side. For another fit, set width and height.")
        if len(set(self.formats)) < len(self.formats) or len(set(self.dpr)) < len(self.dpr):
            raise ValueError("Each format and each density can be there once.")
        return self

    def spec(self) -> RenditionSpec:
        """Return what the stages take."""
        watermark = () if self.watermark is None else ({"watermark": self.watermark},)
        return RenditionSpec(
            edge=self.edge,
            width=self.width,
            height=self.height,
            fit=self.fit,
            focus=self.focus,
            enlarge=self.enlarge,
            formats=self.formats,
            dpr=tuple(sorted(self.dpr)),
            quality=dict(self.quality.items()),
            background=self.background or WHITE,
            steps=tuple(map(read_step, (*self.steps, *watermark))),
        )


class PresetDefinition(Definition):
    """A named set of renditions."""

    description: str = Field("", max_length=500, description="What the preset is for, in a sentence.")
    fields: tuple[Override, ...] = Field((), description="What an upload may override; nothing else.")
    background: Background | None = Field(None, description="The background of renditions that have none.")
    renditions: Annotated[dict[RenditionName, RenditionDefinition], Field(min_length=1)]
