"""The steps of a request: every rule that they break, at once, and what a job stores of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from inspect import signature
from typing import Any, NamedTuple

from pydantic import ValidationError

from gateway.submission.format_step import FORMAT, FormatStep, read_format
from gateway.submission.misspellings import describe_unknown
from gateway.submission.rules import MAX_SHOWN, build_rule, describe_error, escape
from pipeline.presets.asset_files import image_of
from pipeline.presets.canonical import write_step
from pipeline.presets.steps import read_step, split_step
from stages.steps.table import STEPS

SHAPE = 'A step is its name, or an object with its name and its parameters, such as {"blur": 2}.'


class Steps(NamedTuple):
    """What a job stores: the steps, each in the one way to write it, the digests of their image files, the format."""

    written: list[dict[str, Any]]
    assets: dict[str, str]
    output: dict[str, Any]


class StepRules:
    """What steps may say: how many there may be, and which image files there are, by name, with their SHA-256."""

    def __init__(self, assets: Mapping[str, str], max_steps: int) -> None:
        self._assets = assets
        self._max_steps = max_steps

    def find_broken(self, steps: list[Any], given: Collection[str]) -> list[dict[str, Any]]:
        """Return each rule that the steps break in a form which has other than default values in the fields `given`."""
        rules = [rule for index, written in enumerate(steps) for rule in self._check(written, f"/steps/{index}")]
        if len(steps) > self._max_steps:
            message = f"There are {len(steps)} steps; at most {self._max_steps} are allowed."
            rules.append(build_rule("/steps", "maximum", message, self._max_steps, len(steps)))
        if not steps:
            message = 'There are no steps. A format alone is a step, too: [{"format": "webp"}].'
            rules.append(build_rule("/steps", "minimum", message, 1, 0))
        return [*rules, *_check_formats(steps, given)]

    def read(self, steps: list[Any]) -> Steps:
        """Return what a job stores of steps that break no rule."""
        *others, last = steps
        output = read_format(last)
        read = list(map(read_step, steps if output is None else others))
        images = {image for step in read if (image := image_of(step)) is not None}
        assets = {name: self._assets[name] for name in sorted(images)}
        return Steps(list(map(write_step, read)), assets, {} if output is None else output.fields)

    def _check(self, written: object, pointer: str) -> Iterator[dict[str, Any]]:
        try:
            name, parameters = split_step(written)
        except ValueError:
            yield build_rule(pointer, "invalid", SHAPE)
            return
        place = pointer if isinstance(written, str) else f"{pointer}/{escape(name[:MAX_SHOWN])}"
        if name not in STEPS and name != FORMAT:
            message = describe_unknown("step", name, [*STEPS, FORMAT])
            yield build_rule(place, "unknown", message, None, name[:MAX_SHOWN])
            return
        try:
            image = _read_image(name, written, parameters)
        except ValidationError as invalid:
            yield from _describe(invalid, name, parameters, place)
        except ValueError as error:
            yield build_rule(place, "invalid", str(error))
        else:
            yield from self._check_image(image, parameters, place)

    def _check_image(self, image: str | None, parameters: object, place: str) -> Iterator[dict[str, Any]]:
        if image is None or image in self._assets:
            return
        pointer = f"{place}/image" if isinstance(parameters, dict) else place
        message = "There are no image files for watermarks: no preset names one."
        if self._assets:
            message = describe_unknown("image file", image, self._assets)
        yield build_rule(pointer, "choice", message, ", ".join(sorted(self._assets)), image[:MAX_SHOWN])


def _read_image(name: str, written: object, parameters: object) -> str | None:
    """Return the name of the image file that a step needs. Raises ValueError for a step that breaks a rule."""
    if name == FORMAT:
        FormatStep.read(parameters)
        return None
    return image_of(read_step(written))


def _check_formats(steps: list[Any], given: Collection[str]) -> Iterator[dict[str, Any]]:
    """Yield the rules that the step `format` breaks by its place, or beside a field of the form."""
    for index, written in enumerate(steps[:-1]):
        if _name_of(written) == FORMAT:
            message = "The step format must be the last one: the image is encoded once."
            yield build_rule(f"/steps/{index}", "exclusive", message)
    if steps and (output := read_format(steps[-1])):
        for name in output.fields.keys() & set(given):
            message = f"Give the {name} either as a field or in the step format, not both."
            yield build_rule(f"/{name}", "exclusive", message)


def _name_of(written: object) -> str | None:
    try:
        return split_step(written)[0]
    except ValueError:
        return None


def _describe(invalid: ValidationError, name: str, parameters: object, place: str) -> Iterator[dict[str, Any]]:
    """Yield a rule for each value that is wrong. A value that could be of several types counts once."""
    known = list(FormatStep.model_fields) if name == FORMAT else list(signature(STEPS[name]).parameters)
    seen = set[str]()
    for error in invalid.errors(include_url=False):
        pointer = place + _pointer_into(parameters, error["loc"])
        rule = describe_error(error, pointer)
        if rule["rule"] == "unknown":
            rule["message"] = describe_unknown("parameter", str(error["loc"][-1]), known)
        elif rule["rule"] == "required":
            rule["message"] = f"The step {name} needs {error['loc'][-1]}."
        if pointer not in seen or rule["rule"] == "required":
            yield rule
        seen.add(pointer)


def _pointer_into(parameters: object, location: tuple[int | str, ...]) -> str:
    """Return the JSON pointer to a value in the parameters, as far as the location is there."""
    pointer, value = "", parameters
    for part in location:
        inner: dict[Any, Any] = dict(enumerate(value)) if isinstance(value, list) else {}
        inner = value if isinstance(value, dict) else inner
        if part not in inner:
            break
        value = inner[part]
        pointer += f"/{escape(str(part)[:MAX_SHOWN])}"
    return pointer
