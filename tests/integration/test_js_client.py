"""The JavaScript client as an npm package, in Node, against a real gateway."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from deploy.local.stack import Stack
from gateway.routes.js_client import FOLDER
from tests.support.images import encode_image, photo

SCRIPT = Path(__file__).with_name("node_client.mjs")
SIZES = {"sent as a form": (320, 240), "sent in parts where the gateway takes them": (1600, 1300)}


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An application of somebody else, with the package installed from its archive."""
    folder = tmp_path_factory.mktemp("application")
    (folder / "package.json").write_text('{"name": "application", "private": true, "type": "module"}')
    run("npm", "pack", "--silent", str(FOLDER), folder=folder)
    [archive] = folder.glob("*.tgz")
    run("npm", "install", "--silent", "--offline", "--no-audit", "--no-fund", str(archive), folder=folder)
    shutil.copy(SCRIPT, folder)
    return folder


def run(program: str, *arguments: str, folder: Path) -> str:
    """Run a program of Node, and return what it prints; without it the test is skipped, in CI it fails."""
    found = shutil.which(program)
    if found is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(
            f"{program} is not on PATH: .ci/run shows how it gets there"
        )
    done = subprocess.run([found, *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_node_uploads_follows_and_fetches(application: Path, stack: Stack, size: tuple[int, int]) -> None:
    (application / "photo.bmp").write_bytes(encode_image(photo(*size), "bmp"))

    found: dict[str, Any] = json.loads(run("node", SCRIPT.name, stack.url, "photo.bmp", "small", folder=application))

    small = found["job"]["renditions"]["small"]
    assert found["statuses"][-1] == "done"
    assert found["shares"][-1] == 1
    assert found["name"] == "from node.bmp"
    assert (found["job"]["original"]["width"], small["format"]) == (size[0], "webp")
    assert (found["sha256"], found["width"]) == (small["sha256"], small["width"])
    assert found["src"] == f"{stack.url}/result/{found['job']['task_id']}/small"
    assert found["refusal"] == [415, "unsupported_format"]
    assert found["removed"] == [404, "job_not_found"]
