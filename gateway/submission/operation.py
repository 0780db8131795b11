"""What a submission requests, from its form, and the fingerprint that tells two submissions apart."""

from __future__ import annotations

import json
from hashlib import sha256

from gateway.submission.forms import CropForm, OutputForm
from storage.documents import Kind, Operation, Original

OUTPUT_FIELDS = frozenset(OutputForm.model_fields) | {"source_task_id"}


def build_operation(form: OutputForm, renditions: dict[str, int]) -> Operation:
    """Return what a form requests: the previews, or the parameters of the operation, and how to encode them."""
    values = form.model_dump(exclude_none=True)
    parameters = {name: value for name, value in values.items() if name not in OUTPUT_FIELDS}
    animated = parameters.pop("animated", False)
    if isinstance(form, CropForm) and form.aspect is not None:
        parameters["aspect"] = [int(part) for part in form.aspect.split(":")]
    output = {name: values[name] for name in OutputForm.model_fields if name in values}
    return Operation(renditions=renditions, parameters=parameters, animated=animated, **output)


def compute_fingerprint(kind: Kind, original: Original, operation: Operation) -> str:
    """Return a hash of everything that must be equal for two requests to be the same."""
    request = {"kind": kind, "sha256": original.sha256, "name": original.name, "operation": operation.model_dump()}
    return sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
