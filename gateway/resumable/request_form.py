"""What a resumable upload is to become: the form in its metadata, checked when the upload is created."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gateway.problems import InvalidForm, TooManyFiles
from gateway.submission.file_names import clean_filename
from gateway.submission.forms import (
    SOURCE_FIELDS,
    CropForm,
    GrayscaleForm,
    OutputForm,
    PreviewForm,
    ProcessForm,
    ResizeForm,
    parse_form,
)
from gateway.submission.submission import Submission
from storage.documents import Kind

FORMS: dict[Kind, type[OutputForm]] = {
    Kind.PREVIEWS: PreviewForm,
    Kind.CROP: CropForm,
    Kind.GRAYSCALE: GrayscaleForm,
    Kind.RESIZE: ResizeForm,
    Kind.PROCESS: ProcessForm,
}
OPERATION_FIELD = "operation"
IGNORED_FIELDS = frozenset({"filetype"})
"""Fields that clients of tus add by themselves, besides those that any form may have."""


@dataclass(frozen=True, slots=True)
class RequestForm:
    """The kind of the job, its form, the name of the file, and a warning of each field that is ignored."""

    kind: Kind
    form: OutputForm
    name: str | None
    warnings: list[dict[str, Any]]


def read_request_form(metadata: dict[str, str], submission: Submission) -> RequestForm:
    """Read the form from an upload's metadata. Raises `InvalidForm` with each broken rule, as `parse_form` does.

    It is read when the upload is created and when it is complete: the preset is the one of the second time.
    """
    settings = submission.settings
    fields = {name: value for name, value in metadata.items() if name not in IGNORED_FIELDS}
    name = clean_filename(fields.pop("filename", "") or fields.get("name", ""))
    kind = _read_kind(fields.pop(OPERATION_FIELD, ""))
    submission.check_kind(kind)
    strict, find_broken = settings.forms.strict, submission.form_rules.find_broken
    form, warnings = parse_form(FORMS[kind], fields, settings.limits, strict=strict, find_broken=find_broken)
    if given := [name for name in SOURCE_FIELDS if getattr(form, name, None) is not None]:
        raise TooManyFiles(f"An upload has a file of its own. Leave {given[0]} out.")
    return RequestForm(kind, form, name or None, warnings)


def _read_kind(operation: str) -> Kind:
    names = [kind.value for kind in FORMS if kind is not Kind.PREVIEWS]
    if operation and operation not in names:
        raise InvalidForm(
            f"There is no such operation. Set {OPERATION_FIELD} to one of {', '.join(names)}, or leave it out."
        )
    return Kind(operation) if operation else Kind.PREVIEWS
