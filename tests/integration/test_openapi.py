"""The document that describes the API, and whether the API is as it describes."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.schemas import APIOperation, BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from deploy.local.stack import Stack
from tests.integration.api_helpers import submit_photo, wait_for_end
from tests.support.images import encode_image, photo

EXAMPLES = 15
PROMISES: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
PHOTO = encode_image(photo(20, 20))
PROBLEM = "application/problem+json"
FIELDS = {
    "/upload": {"file", "format", "quality", "background", "animated"},
    "/crop": {"file", "source_task_id", "left", "top", "width", "height", "aspect", "format", "quality", "background"},
    "/grayscale": {"file", "source_task_id", "format", "quality", "background"},
    "/resize": {
        *("file", "source_task_id", "width", "height", "fit", "enlarge", "format", "quality", "background"),
    },
}


@pytest.fixture(scope="module")
def document(client: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/openapi.json").raise_for_status().json()
    return found


@pytest.fixture(scope="module")
def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {f"{verb} {path}": each for path, verbs in document["paths"].items() for verb, each in verbs.items()}


def test_the_document_is_of_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")


def test_every_operation_says_what_it_does(operations: dict[str, dict[str, Any]]) -> None:
    assert {name for name, each in operations.items() if not (each.get("summary") and each.get("description"))} == set()
    assert {name for name, each in operations.items() if not each.get("tags")} == set()


def test_every_operation_says_how_it_fails(operations: dict[str, dict[str, Any]]) -> None:
    for name, each in operations.items():
        for status in ("4XX", "5XX"):
            content = each["responses"][status]["content"]
            # One schema, by reference: openapi-python-client drops errors that each operation describes for itself.
            assert content == {PROBLEM: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}}, (name, status)


@pytest.mark.parametrize("path", FIELDS)
def test_every_form_lists_its_fields(operations: dict[str, dict[str, Any]], path: str) -> None:
    content = operations[f"post {path}"]["requestBody"]["content"]

    assert set(content) == {"multipart/form-data"}
    assert set(content["multipart/form-data"]["schema"]["properties"]) == FIELDS[path]


@pytest.fixture(scope="module")
def task_id(client: httpx.Client) -> str:
    """A job that there is, to be asked for."""
    return str(wait_for_end(client, submit_photo(client, PHOTO))["task_id"])


@pytest.fixture(scope="module")
def described(stack: Stack) -> BaseSchema:
    return schemathesis.openapi.from_url(f"{stack.url}/openapi.json")


def test_every_answer_is_one_that_the_document_promises(
    described: BaseSchema, task_id: str, subtests: pytest.Subtests
) -> None:
    for found in described.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        with subtests.test(operation.label):
            _keeps_its_promises(operation, task_id)


def _keeps_its_promises(operation: APIOperation[Any, Any, Any, Any], task_id: str) -> None:
    """Send requests made from the document, some of them against it, some with a real photo or job."""
    proper = operation.as_strategy()
    improper = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=st.one_of(proper, improper), real=st.booleans())
    def promise_is_kept(case: schemathesis.Case[Any], real: bool) -> None:
        if real and isinstance(case.body, dict):
            case.body["file"] = PHOTO  # type: ignore[assignment]  # typed as if it were JSON
        if real and case.method == "GET" and "task_id" in case.path_parameters:
            case.path_parameters["task_id"] = task_id
        case.call_and_validate(checks=PROMISES)

    promise_is_kept()
