"""The OpenAPI document as Redocly and Spectral judge it, with keys and without."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import httpx
import pytest

from gateway.app import create_app
from pipeline.settings import Settings
from tests.support.locked_tools import install_npm_tools

TOOLS = Path(__file__).parent / "openapi_tools"
REDOCLY = ["redocly", "lint", "--config", str(TOOLS / "redocly.yaml")]
SPECTRAL = ["spectral", "lint", "--fail-severity", "hint", "--ruleset", str(TOOLS / "spectral.yaml")]
SECONDS = 120


@pytest.fixture(scope="module")
def documents(direct: str, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The document of a gateway with keys, and of one without keys behind a prefix."""
    folder = tmp_path_factory.mktemp("openapi")
    keyed = httpx.get(f"{direct}/openapi.json").raise_for_status().json()
    keyless = create_app(Settings(blob_url="memory:///")).openapi()
    contents = {"keyed.json": keyed, "keyless.json": keyless | {"servers": [{"url": "/api"}]}}
    for name, document in contents.items():
        (folder / name).write_text(json.dumps(document))
    return [str(folder / name) for name in contents]


@pytest.mark.parametrize("linter", [REDOCLY, SPECTRAL], ids=["redocly", "spectral"])
def test_a_linter_has_nothing_to_say_of_the_document(documents: list[str], linter: list[str]) -> None:
    programs = install_npm_tools(TOOLS)
    quiet = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}

    run = subprocess.run(
        [str(programs / linter[0]), *linter[1:], *documents],
        env=os.environ | quiet,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )

    assert run.returncode == 0, run.stdout + run.stderr
    assert "warning" not in run.stdout
