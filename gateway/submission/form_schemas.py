"""The OpenAPI schemas of the forms: the routes read bodies as streams, so FastAPI cannot generate them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from gateway.submission.forms import SIDES
from gateway.submission.steps_schema import describe_steps
from gateway.submission.upload_stream import FILE_FIELD
from stages.limits import Limits

NULL = {"type": "null"}
DESCRIPTION = (
    "The form. A `Content-Digest` (RFC 9530, SHA-256) is verified. In the request's headers it covers the whole "
    "multipart body; in the headers of a part, such as the file, it covers that part.\n\n"
    "The image alone is accepted too, as `image/*` or `application/octet-stream`, with the other fields in the query. "
    "This document leaves that out: for two kinds of bodies, generators write clients that cannot send either."
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


def request_body(form: type[BaseModel], limits: Limits, *, max_steps: int) -> dict[str, Any]:
    """Build the OpenAPI request body of a form and its file, with these bounds."""
    schema = form.model_json_schema()
    del schema["title"]  # generators of clients then name the form by its route
    fields = {name: _without_null(field) for name, field in schema["properties"].items()}
    if "steps" in fields:
        fields["steps"] = describe_steps(fields["steps"]["description"], max_steps)
    for field in fields.values():
        if "examples" in field:
            field["example"] = field["examples"][0]  # Swagger UI fills it in, so that a first try is accepted
    for name in fields.keys() & set(SIDES):
        fields[name]["maximum"] = limits.side
    schema["properties"] = {FILE_FIELD: IMAGE} | fields
    encoding = {FILE_FIELD: {"headers": {"Content-Digest": PART_DIGEST}}}
    content = {"multipart/form-data": {"schema": schema, "encoding": encoding}}
    return {"description": DESCRIPTION, "required": True, "content": content}


def _without_null(field: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a field without null: a form cannot send null, it leaves an optional field out."""
    types = [each for each in field.get("anyOf", []) if each != NULL]
    if len(types) != 1:
        return field
    rest = {name: value for name, value in field.items() if name != "anyOf" and (name, value) != ("default", None)}
    return {**types[0], **rest}
