"""The language of presets: what the file of presets may say, and what a job stores of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from pipeline.presets.destination import DestinationDefinition
from pipeline.presets.steps import StepDefinition, read_step
from stages.background import BACKGROUND_PATTERN, parse_background
from stages.focus.spelling import parse_focus
from stages.rendition import WHITE
from stages.rendition_spec import RenditionSpec
from stages.resize_plan import BoxFit

NAME = r"^[a-z][a-z0-9_]{0,31}$"
PresetName = Annotated[str, Field(pattern=NAME)]
RenditionName = Annotated[str, Field(pattern=NAME)]
Pixels = Annotated[int, Field(ge=1)]
Format = Literal["auto", "jpeg", "png", "webp", "avif"]
Density = Annotated[float, Field(ge=1, le=4)]
Quality = Annotated[int, Field(ge=1, le=100)]
Override = Literal["format", "quality", "background", "animated"]


def _read_background(background: str) -> str:
    try:
        return parse_background(background)
    except ValueError:
        raise ValueError(
            "It should be a colour as in CSS, such as #fff, rgb(255, 255, 255) or white, or transparent."
        ) from None


def _check_watermark(parameters: object) -> object:
    if parameters is not None:
        read_step({"watermark": parameters})
    return parameters


Background = Annotated[
    str, AfterValidator(_read_background), Field(json_schema_extra={"pattern": BACKGROUND_PATTERN}, examples=["#fff"])
]
Focus = Annotated[str, AfterValidator(parse_focus)]


def _list_quality(quality: object) -> object:
    """Return the quality of each format; a number alone is that of all formats that have one."""
    return dict.fromkeys(("jpeg", "webp", "avif"), quality) if isinstance(quality, int) else quality


BrokenRule = tuple[tuple[str, ...], str]
"""The path of a value below the table, and a sentence."""


def raise_broken(title: str, rules: Iterable[BrokenRule]) -> None:
    """Raise one ValidationError with all these rules, if there are any: a ValueError could name only one."""
    errors = [
        InitErrorDetails(type=PydanticCustomError("rule", "{message}", {"message": message}), loc=path, input=None)
        for path, message in rules
    ]
    if errors:
        raise ValidationError.from_exception_data(title, errors)


class Definition(BaseModel):
    """A part of the language. Unknown names are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class RenditionDefinition(Definition):
    """One rendition of a preset: its size, its steps, its formats and densities."""

    edge: Pixels | None = Field(None, description="The longest side, in pixels; instead of width and height.")
    width: Pixels | None = Field(None, description="The width of the box, in pixels.")
    height: Pixels | None = Field(None, description="The height of the box, in pixels.")
    fit: BoxFit = Field(
        "inside",
        description="How the image comes to the box: `inside` bounds it; the others are those of CSS's `object-fit`.",
    )
    focus: Focus = Field(
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
    watermark: Annotated[dict[str, Any] | None, BeforeValidator(_check_watermark)] = Field(
        None, description="An image that is laid over the result, after the steps."
    )

    @model_validator(mode="after")
    def _check_rules(self) -> RenditionDefinition:
        raise_broken(type(self).__name__, self._find_broken_rules())
        return self

    def _find_broken_rules(self) -> Iterator[BrokenRule]:
        if self.edge is None and self.width is None and self.height is None:
            yield (), "A rendition needs an edge, or a width, a height or both."
        if self.edge is not None and (self.width, self.height) != (None, None):
            yield ("edge",), "A rendition has either an edge, or a width and a height, not both."
        elif self.edge is not None and self.fit != "inside":
            yield ("fit",), "An edge bounds the longest side. For another fit, set width and height instead."
        if self.fit not in {"inside", "scale-down"} and self.edge is None and None in {self.width, self.height}:
            yield ("fit",), f"The fit {self.fit} needs both a width and a height."
        densities = [f"{density:g}" for density in self.dpr]  # as names of files have them
        for name, values in (("formats", self.formats), ("dpr", densities)):
            if len(set(values)) < len(values):
                yield (name,), "Each value can be there once."

    @property
    def is_plain(self) -> bool:
        """Whether it is an edge in one format at one density, without steps: previews of animations can be no more."""
        plain = {"edge", "formats", "quality", "background", "enlarge"}
        return self.edge is not None and self.formats in {("auto",), ("webp",)} and not self._changed - plain

    @property
    def is_only_edge(self) -> bool:
        """Whether everything but the edge is as it is by default, written or not."""
        return self._changed == {"edge"}

    @property
    def _changed(self) -> set[str]:
        return {
            name
            for name, field in type(self).model_fields.items()
            if getattr(self, name) != field.get_default(call_default_factory=True)
        }

    def step_names(self) -> Iterator[str]:
        """Return the names of all steps in their order, the watermark among them."""
        for step in self.steps:
            yield step if isinstance(step, str) else next(iter(step))
        if self.watermark is not None:
            yield "watermark"

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
    destination: DestinationDefinition | None = Field(
        None, description="A bucket that the results are also put into, before the job is done."
    )
    renditions: Annotated[dict[RenditionName, RenditionDefinition], Field(min_length=1)] = Field(
        description="What an upload is made into, by name: a letter, and then letters, digits and _, all small."
    )
