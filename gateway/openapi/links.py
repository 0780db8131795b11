"""The links of the OpenAPI document: which routes take the id of a job that an answer names."""

from __future__ import annotations

from typing import Any

FOLLOWERS = {
    "get_job": "Follow the job.",
    "stream_job": "Follow the job by its events.",
    "get_result": "Fetch the main result once the job is done.",
    "delete_job": "Cancel the job, or delete it.",
}
"""Routes that a client uses after its POST, and what for."""


def job_links(*, rendition: str | None = None) -> dict[str, Any]:
    """Return the links of an answer that names a job, one of them to this rendition."""
    links = {name: _link(name, text) for name, text in FOLLOWERS.items()}
    if rendition is not None:
        links["get_rendition"] = _link("get_rendition", "Fetch the output.", rendition=rendition)
    return links


def _link(operation_id: str, description: str, **parameters: str) -> dict[str, Any]:
    parameters = {"task_id": "$response.body#/task_id", **parameters}
    return {"operationId": operation_id, "description": description, "parameters": parameters}
