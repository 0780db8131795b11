"""The JavaScript client as an npm package, in Node, against a real gateway."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.local.stack import Stack
from gateway.routes.js_client import FOLDER
from tests.integration.faulty_proxy import ProxyFault, run_faulty_proxy
from tests.support.images import encode_image, photo

SCRIPT = Path(__file__).with_name("node_client.mjs")
UPLOADS = {"as a form": ((320, 240), ["POST"]), "in parts": ((1600, 1300), ["POST", "PATCH", "PATCH"])}


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


@pytest.mark.parametrize(("size", "methods"), UPLOADS.values(), ids=UPLOADS)
def test_node_uploads_follows_and_fetches(
    application: Path, stack: Stack, size: tuple[int, int], methods: list[str]
) -> None:
    (application / "photo.bmp").write_bytes(encode_image(photo(*size), "bmp"))

    found: dict[str, Any] = json.loads(run("node", SCRIPT.name, stack.url, "photo.bmp", "small", folder=application))

    small = found["job"]["renditions"]["small"]
    assert found["methods"][: found["methods"].index("GET")] == methods
    assert found["statuses"][-1] == "done"
    assert found["shares"][-1] == 1
    assert found["name"] == "from node.bmp"
    assert (found["job"]["original"]["width"], small["format"]) == (size[0], "webp")
    assert (found["sha256"], found["width"]) == (small["sha256"], small["width"])
    assert found["src"] == stack.url + small["variants"][0]["url"]
    assert found["refusal"] == [415, "unsupported_format"]
    assert found["removed"] == [404, "job_not_found"]


def test_parts_that_are_lost_on_the_way_make_one_whole_photo(
    application: Path, stack: Stack, client: httpx.Client
) -> None:
    content = encode_image(photo(1600, 1300), "bmp")
    (application / "photo.bmp").write_bytes(content)
    before = list_jobs(client)
    faults: tuple[ProxyFault, ...] = ("busy", "forward", "lose the answer", "busy", "forward", "lose the answer")

    with run_faulty_proxy(stack.url, "/files", *faults) as proxy:
        found = json.loads(run("node", SCRIPT.name, proxy.url, "photo.bmp", "small", folder=application))

    assert not proxy.faults
    assert found["job"]["original"]["sha256"] == sha256(content).hexdigest()
    assert list_jobs(client) == before  # the script removes its job


def list_jobs(client: httpx.Client) -> list[str]:
    return [job["task_id"] for job in client.get("/jobs", params={"limit": 100}).json()["jobs"]]
