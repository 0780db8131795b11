"""The document that describes the API, and whether the API is as it describes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.local.stack import Stack
from tests.integration.api_helpers import upload
from tests.support.images import encode_image, photo

CONFIG = Path(__file__).parent / "openapi_tools" / "schemathesis.toml"
EXAMPLES = 5
STANDARD_HEADERS = {
    *("connection", "content-length", "content-type", "date", "server", "transfer-encoding", "vary"),
    *("content-security-policy", "cross-origin-resource-policy", "referrer-policy", "x-content-type-options"),
    "x-accel-buffering",
}
"""Headers that only browsers, servers and HTTP libraries read."""
PROGRAM = """
import schemathesis.cli
schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")
schemathesis.cli.schemathesis()
"""
COMMON_FIELDS = {"file", "source_url", "source_key", "format", "quality", "background"}
FIELDS = {
    "/upload": COMMON_FIELDS | {"preset", "animated"},
    "/crop": COMMON_FIELDS | {"source_task_id", "left", "top", "width", "height", "aspect"},
    "/grayscale": COMMON_FIELDS | {"source_task_id"},
    "/resize": COMMON_FIELDS | {"source_task_id", "width", "height", "fit", "enlarge"},
    "/process": COMMON_FIELDS | {"source_task_id", "steps"},
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


@pytest.mark.parametrize("path", FIELDS)
def test_every_form_lists_its_fields(operations: dict[str, dict[str, Any]], path: str) -> None:
    content = operations[f"post {path}"]["requestBody"]["content"]

    assert set(content) == {"multipart/form-data"}
    assert set(content["multipart/form-data"]["schema"]["properties"]) == FIELDS[path]


def test_every_header_of_an_answer_is_described(client: httpx.Client, operations: dict[str, dict[str, Any]]) -> None:
    accepted = upload(client, encode_image(photo(20, 20)))
    task_id = accepted.json()["task_id"]
    job = client.get(f"/task-status/{task_id}", params={"wait": 60})
    tus = {"Tus-Resumable": "1.0.0"}
    resumable = client.post("/files", headers={**tus, "Upload-Length": "9"})
    webhook = client.post("/webhooks", json={"url": "https://shop.example/hook", "disabled": True})
    webhook_path = webhook.headers["location"]
    answers = {
        "post /webhooks": webhook,
        "get /webhooks/{webhook_id}": client.get(webhook_path),
        "patch /webhooks/{webhook_id}": client.patch(webhook_path, json={"disabled": False}),
        "post /webhooks/{webhook_id}/rotate": client.post(f"{webhook_path}/rotate"),
        "post /webhooks/{webhook_id}/test": client.post(f"{webhook_path}/test"),
        "get /webhooks/{webhook_id}/deliveries": client.get(f"{webhook_path}/deliveries"),
        "delete /webhooks/{webhook_id}": client.delete(webhook_path),
        "post /upload": accepted,
        "get /task-status/{task_id}": job,
        "get /task-status/{task_id}/events": client.get(f"/task-status/{task_id}/events"),
        "get /result/{task_id}": client.get(f"/result/{task_id}", headers={"Range": "bytes=0-3"}),
        "get /jobs": client.get("/jobs"),
        "delete /jobs/{task_id}": client.delete(f"/jobs/{task_id}"),
        "post /files": resumable,
        "head /files/{task_id}": client.head(resumable.headers["location"], headers=tus),
        "delete /files/{task_id}": client.delete(resumable.headers["location"], headers=tus),
    }

    for name, answer in answers.items():
        described = operations[name]["responses"][str(answer.status_code)]["headers"]
        assert answer.is_success, name
        assert set(answer.headers) - STANDARD_HEADERS <= {header.lower() for header in described}, name


def test_every_answer_is_one_that_the_document_promises(stack: Stack, tmp_path: Path) -> None:
    """With all checks of schemathesis, and along the links: it uploads images, follows their jobs and deletes them."""
    options = [
        "--checks",
        "all",
        "--max-examples",
        str(EXAMPLES),
        "--generation-deterministic",
        "--continue-on-failure",
    ]

    run = subprocess.run(
        [
            sys.executable,
            "-c",
            PROGRAM,
            "--config-file",
            str(CONFIG),
            "run",
            f"{stack.url}/openapi.json",
            *options,
            "--no-color",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )

    assert run.returncode == 0, run.stdout + run.stderr
    assert re.search(r"API Links: +[1-9]", run.stdout)
