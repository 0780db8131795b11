"""A tus client of other people, unchanged: tus-js-client, over Node's fetch."""

from __future__ import annotations

import json
import signal
import subprocess
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any

import httpx
import pytest

from deploy.local.stack import Stack
from tests.browser.npm import read_package_file
from tests.integration.api_helpers import wait_for_end
from tests.integration.front_servers import find_program
from tests.support.images import encode_image, photo
from tests.support.programs import run_program

MEGABYTE = 1_000_000
SCRIPT = Path(__file__).with_name("tus_upload.cjs")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the client and a photo of 6 MB."""
    (tmp_path / "tus.js").write_text(read_package_file("tus-js-client-4.3.1", "dist/tus.js"))
    (tmp_path / "photo.bmp").write_bytes(encode_image(photo(2000, 1000), "bmp"))
    return tmp_path


def run_upload(
    folder: Path, url: str, *, chunk_bytes: int, during_creation: bool
) -> AbstractContextManager[subprocess.Popen[str]]:
    options = (str(chunk_bytes), str(during_creation).lower())
    command = [find_program("node"), str(SCRIPT), str(folder / "tus.js"), url, str(folder / "photo.bmp"), *options]
    return run_program(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def read_end(upload: subprocess.Popen[str]) -> dict[str, Any]:
    output, errors = upload.communicate(timeout=60)
    assert upload.returncode == 0, errors
    end: dict[str, Any] = json.loads(output.splitlines()[-1])
    return end


@pytest.mark.parametrize(
    ("chunk_bytes", "during_creation"),
    [(MEGABYTE, False), (MEGABYTE, True), (100 * MEGABYTE, False), (100 * MEGABYTE, True)],
)
def test_an_upload_becomes_a_job(
    stack: Stack, client: httpx.Client, folder: Path, chunk_bytes: int, *, during_creation: bool
) -> None:
    with run_upload(folder, stack.url, chunk_bytes=chunk_bytes, during_creation=during_creation) as upload:
        end = read_end(upload)

    job = wait_for_end(client, end["taskId"])
    assert (job["status"], job["original"]["name"], job["operation"]["format"]) == ("done", "photo.bmp", "png")
    assert end["retries"] == 0


def test_an_upload_goes_on_when_the_gateway_is_killed(stack: Stack, client: httpx.Client, folder: Path) -> None:
    with run_upload(folder, stack.url, chunk_bytes=20_000, during_creation=False) as upload:
        wait_for_half(upload.stdout)
        stack.signal("gateway", signal.SIGKILL)
        stack.wait_ready("gateway")
        end = read_end(upload)

    assert wait_for_end(client, end["taskId"])["status"] == "done"
    assert end["retries"] > 0


def wait_for_half(output: IO[str] | None) -> None:
    assert output is not None
    assert output.readline() == "half\n"
