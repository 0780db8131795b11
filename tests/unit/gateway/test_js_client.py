"""The file of the JavaScript client: open to pages of every origin, of this version, and described by its types."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from gateway.middleware.authorization import OPEN_PATHS
from gateway.routes.js_client import FOLDER, PATHS
from pipeline.version import VERSION

CLIENT = (FOLDER / "darkroom.js").read_text(encoding="utf-8")
TYPES = (FOLDER / "darkroom.d.ts").read_text(encoding="utf-8")
CLASS = re.compile(r"^export (?:declare )?class (\w+).*?^}", re.MULTILINE | re.DOTALL)
METHOD = re.compile(r"^  (?:async |get |readonly |\*)*(\w+)[(:]", re.MULTILINE)
TESTS = sorted(Path(__file__).with_name("js_client").glob("*.test.mjs"))
FIELDS = {"status", "code", "detail", "errors", "requestId", "retryAfter", "job"}  # of an error


def exported(text: str) -> set[str]:
    """Return the names of values that a module exports."""
    pattern = r"^export (?:declare )?(?:async )?(?:class|const|function)\*? (\w+)"
    return set(re.findall(pattern, text, re.MULTILINE))


def methods(text: str) -> dict[str, set[str]]:
    """Return the public methods of each class."""
    found = {match[1]: set(METHOD.findall(match[0])) for match in CLASS.finditer(text)}
    return {name: names - FIELDS if name == "DarkroomError" else names for name, names in found.items()}


@pytest.mark.parametrize("script", TESTS, ids=lambda path: path.name)
def test_the_client_passes_its_tests_in_node(script: Path) -> None:
    node = shutil.which("node")
    if node is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("node is not on PATH: .ci/run shows how it gets there")

    done = subprocess.run([node, str(script)], capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("path", "media_type"),
    [("/client.js", "text/javascript; charset=utf-8"), ("/client.d.ts", "text/plain; charset=utf-8")],
)
async def test_a_page_of_another_origin_may_import_the_client(
    http: httpx.AsyncClient, path: str, media_type: str
) -> None:
    found = await http.get(path, headers={"Origin": "https://elsewhere.example"})

    assert (found.status_code, found.headers["content-type"]) == (200, media_type)
    assert found.headers["access-control-allow-origin"] == "*"
    assert found.headers["cross-origin-resource-policy"] == "cross-origin"
    assert found.headers["cache-control"] == "no-cache"


async def test_an_unchanged_client_is_not_sent_again(http: httpx.AsyncClient) -> None:
    first = await http.get("/client.js")

    again = await http.get("/client.js", headers={"If-None-Match": first.headers["etag"]})

    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["access-control-allow-origin"] == "*"


def test_the_client_needs_no_key() -> None:
    assert PATHS <= OPEN_PATHS


def test_the_package_has_the_version_of_the_gateway_and_files_that_exist() -> None:
    package = json.loads((FOLDER / "package.json").read_text(encoding="utf-8"))

    assert package["version"] == VERSION
    assert "dependencies" not in package
    assert {path.name for path in FOLDER.iterdir()} == {*package["files"], "package.json"}


def test_the_types_name_what_the_client_exports() -> None:
    assert exported(TYPES) == exported(CLIENT)
    assert methods(TYPES) == methods(CLIENT)
    assert methods(CLIENT)["Darkroom"] >= {"upload", "follow", "wait", "picture"}
