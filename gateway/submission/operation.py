"""What a submission requests, from its form, and the fingerprint that tells two submissions apart."""

from __future__ import annotations

import json
from hashlib import sha256

from gateway.submission.forms import OUTPUT_FIELDS, SOURCE_FIELDS, CropForm, OutputForm
from pipeline.presets.preset import DEFAULT, DEFAULT_FIELDS, Preset
from storage.documents import Kind, Operation, Original, Source


def build_operation(form: OutputForm, preset: Preset | None) -> Operation:
    """Return what a form requests: the renditions of a preset, or the parameters of the operation, and the encoding."""
    if preset is not None:
        given = form.model_dump(exclude_none=True, exclude_unset=True, include=set(DEFAULT_FIELDS))
        return preset.resolve(given)
    values = form.model_dump(exclude_none=True)
    parameters = {name: value for name, value in values.items() if name not in (*OUTPUT_FIELDS, *SOURCE_FIELDS)}
    if isinstance(form, CropForm) and form.aspect is not None:
        parameters["aspect"] = [int(part) for part in form.aspect.split(":")]
    output = {name: values[name] for name in OUTPUT_FIELDS if name in values}
    return Operation(parameters=parameters, **output)


def compute_fingerprint(
    kind: Kind,
    original: Original,
    operation: Operation,
    *,
    source: Source | None = None,
    has_own_default: bool = False,
) -> str:
    """Return a hash of everything that must be equal for two requests to be the same.

    Of a preset of a file, it is the name, with what the request overrides: the same request is the same when the
    preset, or an image file, has changed meanwhile. `has_own_default` says that `default` is one of them. Of others, it
    is the operation in the form from before there were presets, so that such requests are still the same. Of an
    original that is not fetched yet, it is the whole address: another query may give another image.
    """
    asked = operation.model_dump(exclude={"preset", "assets", "destination"})
    if operation.preset is not None and (has_own_default or operation.preset.name != DEFAULT):
        given = operation.model_dump(exclude_unset=True, include=set(DEFAULT_FIELDS))
        asked = {"preset": operation.preset.name, **given}
    request = {"kind": kind, "sha256": original.sha256, "name": original.name, "operation": asked}
    if source is not None:
        request["source"] = source.address
    return sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
