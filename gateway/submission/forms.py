"""The forms of the POST routes: what may be asked, and every rule that a request breaks."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from gateway.problems import InvalidForm
from stages.limits import Limits

Format = Literal["auto", "jpeg", "png", "webp", "avif"]


def _check_whole_number(value: str) -> str:
    if re.search(r"[^-+\d\s]", value, re.ASCII):
        raise ValueError("The value must be a whole number.")
    return value


# A number as people write it: pydantic also takes 1_000 and 1.0, which would get past the bounds. They stand before the
# validator, or JSON Schema does not know them.
Quality = Annotated[int, Field(ge=1, le=100), BeforeValidator(_check_whole_number)]
Side = Annotated[int, Field(ge=1), BeforeValidator(_check_whole_number)]
Offset = Annotated[int, Field(ge=0), BeforeValidator(_check_whole_number)]
SIDES = ("left", "top", "width", "height")
"""Fields that the limit of a side bounds too."""
COLOUR = "^#[0-9a-fA-F]{6}$"
ASPECT = "^[1-9][0-9]{0,4}:[1-9][0-9]{0,4}$"


def _colour(value: str) -> str:
    if not re.fullmatch(COLOUR, value):
        raise ValueError("The value must be a colour such as #ff8800.")
    return value


def _aspect(value: str) -> str:
    if not re.fullmatch(ASPECT, value):
        raise ValueError("The value must be a ratio such as 16:9.")
    return value


Colour = Annotated[str, AfterValidator(_colour), Field(json_schema_extra={"pattern": COLOUR})]
Aspect = Annotated[str, AfterValidator(_aspect), Field(json_schema_extra={"pattern": ASPECT}, examples=["16:9"])]


IGNORED_FIELDS = frozenset({"name", "type", "relativePath"})
"""What upload widgets such as Uppy add to a file unasked; any other unknown field is refused: it may be a slip."""


class OutputForm(BaseModel):
    """How a result is encoded."""

    model_config = ConfigDict(extra="forbid")

    format: Format = Field("auto", description="`auto`: JPEG for opaque images, WebP where there is alpha.")
    quality: Quality | None = Field(None, description="1 to 100; by default 80, AVIF 60. PNG has none.")
    background: Colour = Field("#ffffff", description="What alpha is laid on where the format has none.")


class PreviewForm(OutputForm):
    """An upload."""

    format: Literal["auto", "jpeg", "png", "webp", "avif", "gif"] = Field(  # type: ignore[assignment]  # one more
        "auto", description="`auto`: JPEG for opaque images, WebP where there is alpha. `gif`: with `animated` only."
    )
    animated: bool = Field(default=False, description="Keep the frames of an animation, in WebP or GIF.")

    @model_validator(mode="after")
    def _check_animated_format(self) -> PreviewForm:
        if self.animated and self.format not in ("auto", "webp", "gif"):
            raise ValueError("An animated preview is WebP or GIF: set format to auto, webp or gif.")
        if self.format == "gif" and not self.animated:
            raise ValueError("GIF is for animated previews only: set animated to true, or choose another format.")
        return self


class OperationForm(OutputForm):
    """One operation on a file, or on the original of an earlier job."""

    source_task_id: str | None = Field(None, description="The job whose original is worked on, in place of `file`.")


class CropForm(OperationForm):
    """A box in pixels of the upright image, or the largest centred one of an aspect."""

    left: Offset | None = None
    top: Offset | None = None
    width: Side | None = None
    height: Side | None = None
    aspect: Aspect | None = None

    @model_validator(mode="after")
    def _check_box_or_aspect(self) -> CropForm:
        box = [self.left, self.top, self.width, self.height]
        if self.aspect is None and None in box:
            raise ValueError("A crop needs left, top, width and height, or an aspect.")
        if self.aspect is not None and any(value is not None for value in box):
            raise ValueError("A crop takes either a box or an aspect, not both.")
        return self


class GrayscaleForm(OperationForm):
    """Greys."""


class ResizeForm(OperationForm):
    """A box to bring the image to."""

    width: Side | None = Field(None, examples=[800])
    height: Side | None = None
    fit: Literal["contain", "cover", "fill", "inside"] = "contain"
    enlarge: bool = False

    @model_validator(mode="after")
    def _check_has_side(self) -> ResizeForm:
        if self.width is None and self.height is None:
            raise ValueError("A resize needs a width, a height or both.")
        return self


_RULES = {
    "greater_than_equal": "minimum",
    "less_than_equal": "maximum",
    "literal_error": "choice",
    "extra_forbidden": "unknown",
    "value_error": "invalid",
}
"""Pydantic's names for broken rules, in the words that the stages use."""
MAX_DIGITS = 18
"""Of a number that is shown as one: more would not fit 64 bits."""
FormT = TypeVar("FormT", bound=BaseModel)


def parse_form(kind: type[FormT], fields: dict[str, str], limits: Limits) -> FormT:
    """Read a form's fields, or raise `InvalidForm` with every broken rule: pointer, rule, limit and actual."""
    errors: list[dict[str, Any]] = []
    form: FormT | None = None
    try:
        form = kind.model_validate({name: value for name, value in fields.items() if _is_relevant(name, value)})
    except ValidationError as error:
        errors = [_describe_error(item) for item in error.errors()]
    errors += _find_oversized_sides(kind, fields, limits)
    if form is None or errors:
        raise InvalidForm("The form breaks the rules that errors lists. Correct it and send it again.", errors=errors)
    return form


def _is_relevant(name: str, value: str) -> bool:
    return value != "" and name not in IGNORED_FIELDS


def _describe_error(item: Any) -> dict[str, Any]:
    context = item.get("ctx", {})
    found = {
        "pointer": "".join(f"/{part}" for part in item["loc"]),
        "rule": _RULES.get(item["type"], item["type"]),
        "message": item["msg"].removeprefix("Value error, "),
        "limit": next((context[name] for name in ("ge", "le", "expected") if name in context), None),
        "actual": item["input"] if isinstance(item["input"], str | int) else None,
    }
    return {name: value for name, value in found.items() if value is not None}


def _find_oversized_sides(kind: type[BaseModel], fields: dict[str, str], limits: Limits) -> list[dict[str, Any]]:
    names = [name for name in SIDES if name in kind.model_fields and name in fields]
    return [
        {
            "pointer": f"/{name}",
            "rule": "maximum",
            "message": f"The {name} must be at most {limits.side} pixels.",
            "limit": limits.side,
            "actual": int(fields[name]) if len(fields[name]) <= MAX_DIGITS else fields[name][:MAX_DIGITS],
        }
        for name in names
        if _is_over(fields[name], limits.side)
    ]


def _is_over(value: str, limit: int) -> bool:
    digits = value.strip().lstrip("+").lstrip("0")
    return digits.isdecimal() and (len(digits) > len(str(limit)) or int(digits) > limit)
