"""Tokens through a whole stack: they open what they are for, and no log and no trace has them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from deploy.local.stack import Stack
from gateway.cli.app import app
from gateway.client import Client, image_url
from tests.integration.api_helpers import wait_for_end, wait_until
from tests.integration.collector import Collector
from tests.integration.conftest import SIGNING_SECRET, AsOwner
from tests.integration.front_servers import BODY_BYTES, Front, run_nginx
from tests.integration.log_lines import read_logs
from tests.integration.raw_http import build_head, open_socket, read_response
from tests.support.images import encode_image, photo

PHOTO = encode_image(photo(100, 70), "jpeg")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where nginx writes."""
    return tmp_path_factory.mktemp("nginx")


@pytest.fixture(scope="module")
def nginx(strict_stack: Stack, folder: Path) -> Iterator[Front]:
    with run_nginx(strict_stack.url, folder) as front:
        yield front


@pytest.fixture(scope="module")
def upload_token(as_owner: AsOwner) -> str:
    answer = as_owner("tia").post("/tokens", json={"scope": "upload", "uses": 1}).raise_for_status()
    token: str = answer.json()["token"]
    return token


@pytest.fixture(scope="module")
def accepted(nginx: Front, upload_token: str) -> httpx.Response:
    """The answer to an upload by a token."""
    headers = {"Authorization": f"Bearer {upload_token}"}
    return nginx.api.post("/upload", files={"file": ("p.jpg", PHOTO)}, headers=headers)


def test_a_page_uploads_and_shows_its_job_by_tokens_alone(nginx: Front, accepted: httpx.Response) -> None:
    task_id, token = accepted.json()["task_id"], accepted.json()["view_token"]
    shown = httpx.Client(base_url=f"{nginx.url}/api", params={"token": token}, timeout=30)

    with shown:
        job = wait_for_end(shown, task_id)
        picture = shown.get(f"/result/{task_id}/small")
        events = shown.get(f"/task-status/{task_id}/events")

    assert (accepted.status_code, job["status"]) == (202, "done")
    assert (picture.status_code, picture.headers["cross-origin-resource-policy"]) == (200, "cross-origin")
    assert "event: job" in events.text


def test_the_client_and_the_command_ask_the_gateway_for_tokens(strict_stack: Stack, accepted: httpx.Response) -> None:
    task_id = accepted.json()["task_id"]
    environment = {"DARKROOM_URL": strict_stack.url, "DARKROOM_API_KEY": "key of tia"}

    with Client(strict_stack.url, api_key="key of tia") as darkroom:
        made = darkroom.create_token("read", task_id=task_id, rendition="small")
    command = ["token", "upload", "--uses", "1", "--metadata", "order=4711"]
    printed = CliRunner().invoke(app, command, env=environment).stdout.strip()

    with Client(strict_stack.url, api_key=made.token) as viewer, Client(strict_stack.url, api_key=printed) as uploader:
        assert viewer.result(task_id, "small")
        uploaded = uploader.upload(PHOTO + b"another", name="p.jpg")
        assert uploader.status(uploaded.task_id).metadata == {"order": "4711"}
        assert uploaded.view_token is not None


def test_a_picture_that_a_token_has_shown_needs_a_token_again(nginx: Front, accepted: httpx.Response) -> None:
    path = f"/result/{accepted.json()['task_id']}/small"
    params = {"token": accepted.json()["view_token"]}

    statuses = [nginx.api.get(path, params=query).status_code for query in (params, {}, params, {"token": "a.b.c"})]

    assert statuses == [200, 401, 200, 401]


def test_no_log_and_no_trace_has_a_token_or_a_signature(
    nginx: Front, folder: Path, strict_stack: Stack, collector: Collector, accepted: httpx.Response, upload_token: str
) -> None:
    path, view_token = f"/result/{accepted.json()['task_id']}/small", accepted.json()["view_token"]
    forged = f"{view_token.rpartition('.')[0]}.forged-signature"
    for query in (f"token={view_token}", f"a=1&token={forged}&b=2", f"token={forged}&token={view_token}"):
        nginx.api.get(f"{path}?{query}")
    with open_socket(nginx.url) as wire:  # nginx itself refuses it, and writes its address to its errors
        wire.sendall(build_head(nginx.url, f"/api/upload?token={view_token}", Content_Length=BODY_BYTES + 1))
        too_large, _ = read_response(wire)
    signed = image_url("", accepted.json()["task_id"], "default", "small.jpg", secret=SIGNING_SECRET, version="1")
    image = nginx.api.get(signed)
    last = nginx.api.get(f"/task-status/{accepted.json()['task_id']}", params={"token": view_token})
    wait_until(lambda: bool(collector.trace(last.headers["x-request-id"])), "the last trace")

    logs = read_logs(strict_stack)
    logs |= {"access": (folder / "image" / "access.log").read_text(), "errors": (folder / "log").read_text()}
    logs["traces"] = json.dumps([span.attributes for span in list(collector.spans)])
    assert (too_large.status, image.status_code) == (413, 200)
    assert f'/api{signed.partition("?")[0]}?sig=..."' in logs["access"]
    assert f'/api{path}?token=..."' in logs["access"]
    assert "?token=..." in logs["errors"]
    assert "token=..." in logs["traces"]
    parts = (
        *upload_token.split(".")[1:],
        *view_token.split(".")[1:],
        "forged-signature",
        signed.rpartition("=")[2],
        SIGNING_SECRET,
    )
    assert [(name, part) for name, log in logs.items() for part in parts if part in log] == []
