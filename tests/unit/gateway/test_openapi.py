"""The OpenAPI document: names that generators of clients use, errors, bounds, keys and links."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI

from gateway.app import create_app
from gateway.problems import MEDIA_TYPE
from gateway.routes.tokens import TokenRequest
from gateway.schemas import ProblemDocument
from tests.unit.gateway.conftest import SETTINGS

PROBLEM = {"$ref": "#/components/schemas/ProblemDocument"}
OPERATION_IDS = {
    *("upload_photo", "crop_image", "convert_to_grayscale", "resize_image", "process_image"),
    *("get_job", "stream_job", "list_jobs", "retry_job", "reprocess_job", "delete_job", "get_result", "get_rendition"),
    *(
        "create_token",
        "create_resumable_upload",
        "get_resumable_upload",
        "append_to_resumable_upload",
        "remove_resumable_upload",
    ),
    *("list_presets", "get_preset", "get_preset_example", "get_preset_schema"),
    *("get_capabilities", "check_alive", "check_ready"),
}
BEARER: dict[str, Any] = {"BearerKey": []}
HEADER: dict[str, Any] = {"HeaderKey": []}
UNBOUNDED = {"BrokenRule"}
"""Schemas with numbers that may be anything."""


@pytest.fixture(scope="module")
def document(app: FastAPI) -> dict[str, Any]:
    return app.openapi()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    return ((f"{verb} {path}", each) for path, verbs in document["paths"].items() for verb, each in verbs.items())


def test_every_operation_keeps_its_name(document: dict[str, Any]) -> None:
    """A client that is generated again has a method of this name."""
    assert {each["operationId"] for _, each in operations(document)} >= OPERATION_IDS


def test_every_tag_is_described(document: dict[str, Any]) -> None:
    described = {tag["name"] for tag in document["tags"] if tag["description"]}

    assert {tag for _, each in operations(document) for tag in each["tags"]} <= described


def test_every_error_has_the_same_schema(document: dict[str, Any]) -> None:
    """By reference: openapi-python-client drops errors that each operation describes for itself."""
    assert [name for name, each in document["components"]["responses"].items() if not _is_problem(each)] == []
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_every_operation_lists_its_errors_one_by_one(document: dict[str, Any]) -> None:
    for name, each in operations(document):
        errors = {status: answer for status, answer in each["responses"].items() if status >= "4"}
        assert {"500", "503"} <= errors.keys() - {"4XX", "5XX", "default"}, name
        assert [status for status, answer in errors.items() if not _is_problem(answer)] == [], name


def _is_problem(answer: dict[str, Any]) -> bool:
    return "$ref" in answer or answer["content"][MEDIA_TYPE]["schema"] == PROBLEM


def test_every_error_has_an_example_of_its_own(document: dict[str, Any]) -> None:
    answers = document["components"]["responses"].values()
    examples = [ProblemDocument.model_validate(each["content"][MEDIA_TYPE]["example"]) for each in answers]

    assert len({example.status for example in examples}) == len(examples)


def test_the_example_of_a_request_can_be_sent_untouched(document: dict[str, Any]) -> None:
    """Swagger UI would fill in every field, which no token may have together."""
    [example] = document["components"]["schemas"]["TokenRequest"]["examples"]

    assert TokenRequest.model_validate(example)


def test_an_error_that_has_no_reason_is_not_listed(document: dict[str, Any]) -> None:
    paths = document["paths"]

    assert "422" not in paths["/jobs/{task_id}"]["delete"]["responses"]
    assert "422" in paths["/jobs"]["get"]["responses"]
    assert "429" not in paths["/capabilities"]["get"]["responses"]
    assert not {"401", "403"} & paths["/livez"]["get"]["responses"].keys()
    assert {"401", "403"} < paths["/jobs"]["get"]["responses"].keys()  # a token is for other routes


def test_every_number_has_a_minimum(document: dict[str, Any]) -> None:
    assert sorted(set(_unbounded(document))) == []


def _unbounded(node: object, path: tuple[str, ...] = ()) -> Iterator[str]:
    if isinstance(node, list):
        for each in node:
            yield from _unbounded(each, path)
    elif isinstance(node, dict):
        has_minimum = "minimum" in node or "exclusiveMinimum" in node
        if node.get("type") in ("integer", "number") and not has_minimum and not UNBOUNDED & set(path):
            yield "/".join(path)
        for name, each in node.items():
            yield from _unbounded(each, (*path, name))


def test_no_key_is_an_alternative_where_none_is_set(document: dict[str, Any]) -> None:
    assert document["paths"]["/jobs"]["get"]["security"] == [{}, BEARER, HEADER]


@pytest.mark.parametrize(
    ("path", "tokens"),
    [
        ("/result/{task_id}", [{"BearerToken": []}, {"QueryToken": []}]),
        ("/capabilities", [{"BearerToken": []}]),
        ("/jobs", []),
    ],
)
def test_a_token_is_an_alternative_where_it_is_taken(
    document: dict[str, Any], path: str, tokens: list[dict[str, Any]]
) -> None:
    assert document["paths"][path]["get"]["security"] == [{}, BEARER, HEADER, *tokens]


def test_a_key_is_needed_where_keys_are_set() -> None:
    document = create_app(SETTINGS.model_copy(update={"api_keys": {"ann": "0" * 64}})).openapi()

    assert document["paths"]["/jobs"]["get"]["security"] == [BEARER, HEADER]
    assert document["paths"]["/livez"]["get"]["security"] == []


def test_every_link_leads_to_an_operation_that_takes_its_parameters(document: dict[str, Any]) -> None:
    parameters = {each["operationId"]: _names_of(each) for _, each in operations(document)}
    links = [
        link
        for _, each in operations(document)
        for answer in each["responses"].values()
        for link in answer.get("links", {}).values()
    ]

    assert links
    assert [link for link in links if not link["parameters"].keys() <= parameters[link["operationId"]]] == []


def _names_of(operation: dict[str, Any]) -> set[str]:
    return {each["name"] for each in operation["parameters"] if "name" in each}


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/files", {"Tus-Resumable", "Upload-Length", "Upload-Metadata", "Upload-Checksum", "X-Request-ID"}),
        ("/upload", {"Idempotency-Key", "Content-Digest", "X-Request-ID"}),
        ("/result/{task_id}", {"If-Match", "If-None-Match", "Range", "If-Range", "X-Request-ID"}),
    ],
)
def test_every_header_that_a_route_reads_is_a_parameter(document: dict[str, Any], path: str, names: set[str]) -> None:
    [operation] = document["paths"][path].values()
    references = {each["$ref"] for each in operation["parameters"] if "$ref" in each}

    assert references == {f"#/components/parameters/{name}" for name in names}
