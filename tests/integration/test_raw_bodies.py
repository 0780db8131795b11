"""A photo as the body of a request, as a shell sends it, through a whole stack."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from deploy.local.stack import Stack
from tests.integration.api_helpers import wait_for_end
from tests.support.images import encode_image, photo

SECONDS = 30
WAYS = [
    pytest.param(["--data-binary", "@photo.jpg"], id="length"),
    pytest.param(["--data-binary", "@photo.jpg", "-H", "Transfer-Encoding: chunked"], id="chunked"),
    pytest.param(["--data-binary", "@photo.jpg", "-H", "Expect: 100-continue"], id="expect"),
    pytest.param(["-X", "POST", "-T", "photo.jpg"], id="upload-file"),
]


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
@pytest.mark.parametrize("way", WAYS)
def test_curl_sends_a_photo_as_the_body(client: httpx.Client, stack: Stack, tmp_path: Path, way: list[str]) -> None:
    (tmp_path / "photo.jpg").write_bytes(encode_image(photo(300, 200), "jpeg"))
    url = f"{stack.url}/upload?format=webp"
    command = ["curl", "-sS", "-H", "Content-Type: image/jpeg", *way, "-w", "%{http_code}", "-o", "answer", url]

    status = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=SECONDS).stdout

    assert status == b"202"
    task_id = httpx.Response(202, content=(tmp_path / "answer").read_bytes()).json()["task_id"]
    job = wait_for_end(client, task_id)
    assert (job["status"], job["renditions"]["small"]["format"]) == ("done", "webp")
