"""The forms of the POST routes: their fields and rules, and the report of every rule that a request breaks."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from gateway.problems import InvalidForm
from gateway.submission.colour import Colour
from gateway.submission.misspellings import find_misspelt
from gateway.submission.rules import describe_error, escape, shorten
from gateway.submission.steps_field import parse_steps
from gateway.whole_numbers import MAX_DIGITS, MAX_NUMBER, parse_whole_number
from pipeline.presets.definition import NAME
from stages.formats import FORMAT_SYNONYMS, parse_format
from stages.limits import Limits


def _add_synonyms(schema: dict[str, Any]) -> None:
    """Let a schema list the synonyms, too."""
    schema["enum"] = [*schema["enum"], *FORMAT_SYNONYMS]


Format = Literal["auto", "jpeg", "png", "webp", "avif"]
PreviewFormat = Literal["auto", "jpeg", "png", "webp", "avif", "gif"]
_WITH_SYNONYMS = (BeforeValidator(parse_format), Field(json_schema_extra=_add_synonyms))
_FORMAT_HELP = "`auto`: JPEG for opaque images, WebP for images with alpha."
_SYNONYMS_HELP = "Case does not matter, and `jpg` means `jpeg`."


def _check_whole_number(value: str) -> str:
    if re.search(r"[^-+\d\s]", value, re.ASCII):
        raise ValueError("The value must be a whole number.")
    return value


# Pydantic would also accept 1_000 and 1.0, which would get past the limit of a side. `Field` comes first, or its bounds
# would not be in the JSON Schema.
Quality = Annotated[int, Field(ge=1, le=100), BeforeValidator(_check_whole_number)]
Side = Annotated[int, Field(ge=1), BeforeValidator(_check_whole_number)]
Offset = Annotated[int, Field(ge=0), BeforeValidator(_check_whole_number)]
SIDES = ("left", "top", "width", "height")
"""Fields whose maximum is the limit of a side."""
ASPECT = "^[1-9][0-9]{0,4}:[1-9][0-9]{0,4}$"


def _check_aspect(value: str) -> str:
    if not re.fullmatch(ASPECT, value):
        raise ValueError("The value must be a ratio such as 16:9.")
    return value


Aspect = Annotated[str, AfterValidator(_check_aspect), Field(json_schema_extra={"pattern": ASPECT}, examples=["16:9"])]


MAX_URL_CHARACTERS = 4096
IGNORED_FIELDS = frozenset({"name", "type", "relativePath"})
"""Fields that upload widgets such as Uppy add by themselves, and that need no warning."""
NO_VALUES = frozenset({"", "undefined", "null"})
"""Values of a field that was not filled in: FormData makes text of JavaScript's undefined and null."""


class SourceForm(BaseModel):
    """Where the image is, if it is not sent with the form.

    The fields have no example: Swagger UI would fill it in beside a file, and the request would be refused.
    """

    model_config = ConfigDict(extra="forbid")

    source_url: str | None = Field(
        None,
        max_length=MAX_URL_CHARACTERS,
        description="The address of the image, such as `https://shop.example/photos/1.jpg`, instead of `file`: a "
        "worker fetches it after the answer.",
    )
    source_key: str | None = Field(
        None,
        description="An object in a bucket that the API key may use, instead of `file`: its address, such as "
        "`s3://incoming/shop/1.jpg`, or its key below the only bucket.",
    )


class OutputForm(SourceForm):
    """How a result is encoded."""

    format: Annotated[Format, *_WITH_SYNONYMS] = Field("auto", description=f"{_FORMAT_HELP} {_SYNONYMS_HELP}")
    quality: Quality | None = Field(None, description="1 to 100. The default is 80, for AVIF 60. PNG has no quality.")
    background: Colour = Field(
        "#ffffff",
        description="The colour of padding, and behind transparent pixels for formats without alpha: #rrggbb or #rgb, "
        "a name as in CSS, or `rgb(255, 136, 0)`. With `transparent`, padding is transparent if the format has alpha.",
    )


class PreviewForm(OutputForm):
    """The form of an upload."""

    preset: str | None = Field(
        None,
        pattern=NAME,
        description="The preset, which says what is made of the image. By default it is `default`, or the only one "
        "that the key or token allows. The fields that it does not let an upload override are refused.",
    )
    format: Annotated[PreviewFormat, *_WITH_SYNONYMS] = Field(  # type: ignore[assignment]  # one more
        "auto", description=f"{_FORMAT_HELP} `gif`: only with `animated`. {_SYNONYMS_HELP}"
    )
    animated: bool = Field(
        default=False,
        description="Keep all frames of an animation, within the limits on frames. The format is then WebP or GIF.",
    )

    @model_validator(mode="after")
    def _check_animated_format(self) -> PreviewForm:
        if self.animated and self.format not in ("auto", "webp", "gif"):
            raise ValueError("An animated preview is WebP or GIF: set format to auto, webp or gif.")
        if self.format == "gif" and not self.animated:
            raise ValueError("GIF is for animated previews only: set animated to true, or choose another format.")
        return self


OUTPUT_FIELDS = tuple(name for name in OutputForm.model_fields if name not in SourceForm.model_fields)
"""The fields of how a result is encoded."""
SOURCE_FIELDS = ("source_task_id", *SourceForm.model_fields)
"""The fields of where the image is; a form has one of them, or a file."""


class OperationForm(OutputForm):
    """One operation on a file, or on the original of an earlier job."""

    source_task_id: str | None = Field(None, description="The earlier job whose original is used instead of `file`.")


def source_task_id_of(form: OutputForm) -> str | None:
    """Return the earlier job whose original a form uses instead of a file."""
    return form.source_task_id if isinstance(form, OperationForm) else None


class CropForm(OperationForm):
    """A box in pixels of the upright image, or the aspect of the largest centred box."""

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
    """The form of a grayscale operation: it has no fields of its own."""


class ResizeForm(OperationForm):
    """The box that the image is resized to, and how it fits."""

    width: Side | None = Field(None, examples=[800])
    height: Side | None = None
    fit: Literal["contain", "cover", "fill", "inside"] = "contain"
    enlarge: bool = False

    @model_validator(mode="after")
    def _check_has_side(self) -> ResizeForm:
        if self.width is None and self.height is None:
            raise ValueError("A resize needs a width, a height or both.")
        return self


class ProcessForm(OperationForm):
    """The steps that change the image, in their order."""

    steps: Annotated[list[Any], BeforeValidator(parse_steps)] = Field(
        description="What happens to the image, in this order, as JSON. A step is its name, or an object with its name "
        "and its parameters. The step `format`, the last one, is the same as the field.",
    )


FORMS: dict[str, type[OutputForm]] = {
    "/upload": PreviewForm,
    "/crop": CropForm,
    "/grayscale": GrayscaleForm,
    "/resize": ResizeForm,
    "/process": ProcessForm,
}
"""The routes that take a form."""
FIELD_NAMES = frozenset(name for form in FORMS.values() for name in form.model_fields)
"""The fields that some route knows."""


FormT = TypeVar("FormT", bound=BaseModel)


FindBroken = Callable[[type[BaseModel], dict[str, str]], list[dict[str, Any]]]
"""Returns the rules that the fields of a form break besides those of the form: of presets, and of the caller."""


def parse_form(
    form_type: type[FormT],
    fields: dict[str, str],
    limits: Limits,
    *,
    strict: bool,
    find_broken: FindBroken = lambda *_: [],
) -> tuple[FormT, list[dict[str, Any]]]:
    """Parse a form's fields; return the form, and a warning for each unknown field, which is ignored.

    Raises `InvalidForm` with each broken rule: pointer, rule, limit and actual value. A misspelt field breaks one, and
    so does any unknown field if `strict`.
    """
    filled = {name: value for name, value in fields.items() if value not in NO_VALUES and name not in IGNORED_FIELDS}
    known = {name: value for name, value in filled.items() if name in form_type.model_fields}
    errors: list[dict[str, Any]] = []
    warnings: list[dict[str, Any]] = []
    form: FormT | None = None
    try:
        form = form_type.model_validate(known)
    except ValidationError as error:
        errors = [describe_error(item) for item in error.errors()]
    errors += [*_find_oversized_sides(form_type, known, limits), *find_broken(form_type, known)]
    for name in [name for name in filled if name not in known]:
        misspelt = find_misspelt(name, form_type.model_fields)
        description = _describe_unknown(name, misspelt, strict=strict)
        if strict or misspelt:
            errors.append(description | {"actual": filled[name]})
        else:
            warnings.append(description)
    if form is None or errors:
        raise InvalidForm("The form breaks the rules that errors lists. Correct it and send it again.", errors=errors)
    return form, warnings


def _describe_unknown(name: str, misspelt: str | None, *, strict: bool) -> dict[str, Any]:
    shown = shorten(name)
    message = f"The field {shown!r} is unknown{'' if strict else ', and ignored'}."
    if misspelt:
        message = f"There is no field {shown!r}. Did you mean {misspelt}?"
    elif routes := [route for route, form in FORMS.items() if name in form.model_fields]:
        message = f"The field {name} is{'' if strict else ' ignored: it is'} only for {' and '.join(routes)}."
    return {"pointer": f"/{escape(shown)}", "rule": "unknown", "message": message}


def _find_oversized_sides(form_type: type[BaseModel], fields: dict[str, str], limits: Limits) -> list[dict[str, Any]]:
    names = [name for name in SIDES if name in form_type.model_fields and name in fields]
    return [
        {
            "pointer": f"/{name}",
            "rule": "maximum",
            "message": f"The {name} must be at most {limits.side} pixels.",
            "limit": limits.side,
            "actual": number if number < MAX_NUMBER else fields[name][:MAX_DIGITS],
        }
        for name in names
        if (number := parse_whole_number(fields[name].strip().removeprefix("+")) or 0) > limits.side
    ]
