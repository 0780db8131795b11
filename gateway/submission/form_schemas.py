"""The OpenAPI schemas of the bodies and queries: the routes read streams, so FastAPI cannot generate them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from gateway.submission.forms import SIDES
from gateway.submission.media_types import FORM_TYPE
from gateway.submission.upload_stream import FILE_FIELD
from stages.limits import Limits

NULL = {"type": "null"}
PREFILLED = frozenset({"default", "example", "examples"})
RAW_TYPE = "image/*"
DESCRIPTION = (
    "A form, or the image itself with its fields in the query. A `Content-Digest` (RFC 9530, SHA-256) is verified. In "
    "the request's headers it covers the whole body; in the headers of a part, such as the file, it covers that part."
)
PART_DIGEST = {
    "description": "SHA-256 of the file's bytes. If they do not match, the request is refused (`digest_mismatch`).",
    "schema": {"type": "string", "examples": ["sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"]},
}
IMAGE = {
    "type": "string",
    "format": "binary",  # of OpenAPI 3.0: generators of clients know a file by it, and not by its media type
    "contentMediaType": "application/octet-stream",
    "description": "The image file.",
}

RAW_IMAGE = IMAGE | {
    "description": "The image itself. `application/octet-stream` is accepted too. Its file name, if any, is in the "
    "request's `Content-Disposition`."
}


def request_body(form: type[BaseModel], limits: Limits) -> dict[str, Any]:
    """Build the OpenAPI request body of a form and its file, with the bounds in `limits`."""
    fields = _build_fields(form, limits)
    for field in fields.values():
        if "examples" in field:
            field["example"] = field["examples"][0]  # Swagger UI fills it in, so that a first try is accepted
    schema = form.model_json_schema() | {"properties": {FILE_FIELD: IMAGE} | fields}
    del schema["title"]  # generators of clients then name the form by its route
    if "source_task_id" not in fields:
        schema["required"] = [FILE_FIELD]
    encoding = {FILE_FIELD: {"headers": {"Content-Digest": PART_DIGEST}}}
    content = {FORM_TYPE: {"schema": schema, "encoding": encoding}, RAW_TYPE: {"schema": RAW_IMAGE}}
    return {"description": DESCRIPTION, "required": True, "content": content}


def query_parameters(form: type[BaseModel], limits: Limits) -> list[dict[str, Any]]:
    """Build the OpenAPI parameters of a form's fields in the query.

    Without defaults and examples: Swagger UI would fill them in, beside those of the form.
    """
    return [
        {
            "name": name,
            "in": "query",
            "required": False,
            "description": f"The field `{name}`, if the body is the image itself.",
            "schema": {word: value for word, value in field.items() if word not in {*PREFILLED, "description"}},
        }
        for name, field in _build_fields(form, limits).items()
        if name != "source_task_id"  # it stands for a file, which the body is
    ]


def _build_fields(form: type[BaseModel], limits: Limits) -> dict[str, dict[str, Any]]:
    fields = {name: _without_null(field) for name, field in form.model_json_schema()["properties"].items()}
    for name in fields.keys() & set(SIDES):
        fields[name]["maximum"] = limits.side
    return fields


def _without_null(field: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a field without null: a form cannot send null, it leaves an optional field out."""
    types = [each for each in field.get("anyOf", []) if each != NULL]
    if len(types) != 1:
        return field
    rest = {name: value for name, value in field.items() if name != "anyOf" and (name, value) != ("default", None)}
    return {**types[0], **rest}
