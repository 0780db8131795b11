"""The OpenAPI document: FastAPI generates it from the routes; this adds what no route knows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI

from gateway.middleware.allowed_hosts import PROBE_PATHS
from gateway.middleware.rate_limit import LIST_ROUTE
from gateway.openapi.errors import describe_errors, error_content, errors
from gateway.openapi.headers import (
    PATH_PARAMETERS,
    answer_headers,
    describe_headers,
    describe_parameters,
    request_headers,
)
from gateway.openapi.security import SCHEMES, security_of
from gateway.routes.operations import describe_forms
from gateway.schemas import ProblemDocument
from pipeline.settings import Settings
from stages.limits import Limits

SCHEMAS = "#/components/schemas/"
FRAMEWORK_SCHEMAS = ("HTTPValidationError", "ValidationError")
FRAMEWORK_ERROR = {"schema": {"$ref": f"{SCHEMAS}HTTPValidationError"}}
"""An error as FastAPI would answer it."""
OPTIONS: dict[str, Any] = {
    "summary": "Upload photos; get validated, upright previews without metadata.",
    "description": "A POST is answered at once with a `task_id`. Follow the job, then fetch its results. Every error "
    "is a problem document (RFC 9457). The server itself can answer any request 400, 408, 431 or 501.",
    "license_info": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
    "openapi_tags": [
        {"name": "operations", "description": "Send an image. Each request creates a job."},
        {
            "name": "resumable uploads",
            "description": "Send an image in pieces, over lines that break (tus 1.0.0). The last one creates the job.",
        },
        {"name": "bucket events", "description": "Make jobs of the objects that land in buckets."},
        {"name": "tokens", "description": "Make tokens, with which browsers and apps upload or show images."},
        {"name": "jobs", "description": "Follow, list, retry, reprocess and delete jobs."},
        {
            "name": "bulk actions",
            "description": "Retry, cancel, delete or reprocess many jobs at once, in the background.",
        },
        {
            "name": "webhooks",
            "description": "Have the events of jobs sent to a backend, signed as Standard Webhooks says, or follow "
            "them as a stream.",
        },
        {"name": "results", "description": "Fetch what jobs have made."},
        {"name": "presets", "description": "What an upload that names a preset becomes."},
        {"name": "capabilities", "description": "What this gateway accepts."},
        {"name": "health", "description": "Whether the gateway works. No key is needed."},
    ],
}
"""What the document says of the whole API, as arguments of FastAPI."""


def install(app: FastAPI, settings: Settings) -> None:
    """Let the application describe itself in full."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = generate()
            describe_forms(document, settings.limits, max_steps=settings.preset_limits.steps)
            _add_components(document["components"], settings.limits)
            for path, operations in document["paths"].items():
                for method, operation in operations.items():
                    _complete(operation, path, method.upper(), has_keys=bool(settings.api_keys))
        return generate()

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to extend it


def _add_components(components: dict[str, Any], limits: Limits) -> None:
    problem = ProblemDocument.model_json_schema(ref_template=f"{SCHEMAS}{{model}}")
    schemas = components["schemas"] | problem.pop("$defs") | {"ProblemDocument": problem}
    components["schemas"] = {name: schemas[name] for name in sorted(schemas) if name not in FRAMEWORK_SCHEMAS}
    components["parameters"] = describe_parameters(limits)
    components["headers"] = describe_headers()
    components["responses"] = describe_errors()
    components["securitySchemes"] = SCHEMES


def _complete(operation: dict[str, Any], path: str, method: str, *, has_keys: bool) -> None:
    """Add what the middleware takes, answers and refuses."""
    responses = operation["responses"]
    operation["security"] = security_of(path, method, has_keys=has_keys)
    is_limited = method == "POST" or path == LIST_ROUTE
    headers = answer_headers("X-Request-ID", *(("RateLimit", "RateLimit-Policy") if is_limited else ()))
    for status, response in list(responses.items()):
        if "$ref" in response:
            del response["description"]  # of the framework
        elif FRAMEWORK_ERROR in response.get("content", {}).values():
            del responses[status]
        else:
            response["headers"] = headers | response.get("headers", {})
    for status, error in errors(*_common_errors(operation, path, is_limited=is_limited)).items():
        described = responses.setdefault(str(status), error)
        if "content" in described:
            described["content"] |= error_content(int(status))
    operation["responses"] = dict(sorted(responses.items()))
    operation["parameters"] = [*operation.get("parameters", []), *request_headers("X-Request-ID")]
    for parameter in operation["parameters"]:
        if parameter.get("in") == "path" and (text := PATH_PARAMETERS.get(parameter["name"])):
            parameter.setdefault("description", text)


def _common_errors(operation: dict[str, Any], path: str, *, is_limited: bool) -> Iterator[int]:
    """Return the errors that follow from what a route takes, and from the middleware."""
    if "requestBody" in operation:
        yield from (400, 408, 413, 415, 422)
    if any(each.get("in") in {"query", "header"} for each in operation.get("parameters", [])):
        yield 422
    if operation["security"]:
        yield from (401, 403)
    if path not in PROBE_PATHS:
        yield 421
    if is_limited:
        yield 429
    yield from (500, 503)
