"""What may stand before a gateway: the nginx that is deployed, and the front of `./run up`."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.types import ASGIApp

from deploy.local.ports import free_port
from gateway.server.http_protocol import HttpProtocol
from gateway.sizes import FORM_OVERHEAD_BYTES
from pipeline.settings import Settings
from tests.integration.api_helpers import wait_until
from tests.support.http_options import HTTP_CLIENT_OPTIONS, HTTP_OPTIONS
from tests.support.programs import ROOT, run_logged_program

NGINX_CONFIG_FOLDER = ROOT / "deploy" / "nginx"
UNPACKED = ROOT / ".cache"
AS_ROOT = "user root;" if os.geteuid() == 0 else ""  # else nginx would become nobody
IMAGE_SETTINGS = dict(
    re.findall(r'(DARKROOM_\w+)="?([^" \n]*)', (NGINX_CONFIG_FOLDER / "Dockerfile").read_text(encoding="utf-8"))
) | {"NGINX_LOCAL_RESOLVERS": "127.0.0.1"}
BODY_BYTES = Settings().limits.upload_bytes + FORM_OVERHEAD_BYTES


@dataclass(frozen=True)
class Front:
    """A server of the page, and the client that asks it."""

    url: str
    api: httpx.Client
    process: subprocess.Popen[Any]
    metrics_url: str = ""

    def get(self, path: str, **headers: str) -> httpx.Response:
        """Ask for a file of the page."""
        return httpx.get(f"{self.url}{path}", headers=headers, **HTTP_OPTIONS)


def find_program(name: str) -> str:
    """Return the path of a program that .ci/run unpacks; without it the test is skipped, in CI it fails."""
    folders = [UNPACKED / name / "usr" / folder for folder in ("sbin", "bin")]
    if found := shutil.which(name) or shutil.which(name, path=os.pathsep.join(map(str, folders))):
        return found
    reason = f"{name} is neither on PATH nor in {UNPACKED / name}: .ci/run shows how it gets there"
    (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    return ""


def _write_configuration(
    folder: Path, *, port: int, environment: Mapping[str, str], replaced: Mapping[str, str]
) -> Path:
    """Write the configuration as the image does at its start, in a folder of the test's own."""
    moved = {
        "/tmp/nginx": str(folder / "nginx"),  # noqa: S108
        "/etc/darkroom-templates": str(folder / "templates"),
        "/etc/darkroom": str(folder / "etc"),
        "/usr/share/nginx/html": str(ROOT / "deploy" / "frontend"),
        "/usr/share/darkroom/client": str(ROOT / "gateway" / "js_client"),
        "/usr/share/doc/darkroom": str(ROOT / "deploy" / "prometheus" / "consoles"),
        "/dev/stdout": str(folder / "access.log"),
        "listen 8000": f"listen 127.0.0.1:{port}",
        "exec nginx": "exit #",
        **replaced,
    }
    sources = [*NGINX_CONFIG_FOLDER.glob("*.conf"), *NGINX_CONFIG_FOLDER.glob("*/*.template")]
    for source in [*sources, NGINX_CONFIG_FOLDER / "start.sh"]:
        text = source.read_text(encoding="utf-8")
        for old, new in moved.items():
            text = text.replace(old, new)
        kind = {".conf": "etc", ".template": "templates"}.get(source.suffix, "")
        (folder / kind).mkdir(parents=True, exist_ok=True)
        (folder / kind / source.name).write_text(text, encoding="utf-8")
    subprocess.run(["sh", str(folder / "start.sh")], env={**os.environ, **environment}, check=True)
    return folder / "nginx" / "nginx.conf"


def _find_error_filter() -> str:
    """Return what start.sh puts behind its last command: it removes tokens from the errors of nginx."""
    start = (NGINX_CONFIG_FOLDER / "start.sh").read_text(encoding="utf-8")
    return start[start.rindex("2> >(") :].strip()


@contextmanager
def run_nginx(
    gateway: str, folder: Path, *wrapper: str, replaced: Mapping[str, str] | None = None, **settings: str
) -> Iterator[Front]:
    """Run the nginx that is deployed before a gateway, with settings of its image; `wrapper` is a command before it.

    In the configuration, each key of `replaced` becomes its value.
    """
    port, metrics = free_port(), f"127.0.0.1:{free_port()}"
    own = {"DARKROOM_GATEWAY": gateway.removeprefix("http://"), "DARKROOM_METRICS_LISTEN": metrics}
    environment = {**IMAGE_SETTINGS, **settings, **own}
    config = _write_configuration(folder / "image", port=port, environment=environment, replaced=replaced or {})
    command = [find_program("nginx"), "-p", str(config.parent), "-c", str(config)]
    tested = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
    assert tested.returncode == 0, tested.stderr
    assert "[warn]" not in tested.stderr
    filtered = ["bash", "-c", f'exec "$@" {_find_error_filter()}', "bash", *command, "-g", f"daemon off; {AS_ROOT}"]
    with _running_front(port, *wrapper, *filtered, log=folder / "log") as front:
        yield replace(front, metrics_url=f"http://{metrics}/metrics")


@contextmanager
def run_local_front(gateway: str, folder: Path, **settings: str) -> Iterator[Front]:
    """Run the front of `./run up` before a gateway."""
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "deploy.local.frontend_server",
        "--port",
        str(port),
    ]
    with _running_front(port, *command, log=folder / "log", DARKROOM_FRONT_GATEWAY=gateway, **settings) as front:
        yield front


@contextmanager
def run_application(application: ASGIApp) -> Iterator[str]:
    """Run an application in the gateway's place, on the gateway's own server; yield its address."""
    port = free_port()
    protocol: Any = HttpProtocol  # uvicorn only calls it
    server = uvicorn.Server(uvicorn.Config(application, port=port, http=protocol, proxy_headers=False, log_config=None))
    thread = threading.Thread(target=asyncio.run, args=(server.serve(),), daemon=True)
    thread.start()
    try:
        wait_until(lambda: server.started, "the application")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def _running_front(port: int, *command: str, log: Path, **environment: str) -> Iterator[Front]:
    url = f"http://127.0.0.1:{port}"
    with ExitStack() as resources:
        process = resources.enter_context(run_logged_program(*command, log=log, **environment))
        api = resources.enter_context(httpx.Client(base_url=f"{url}/api", timeout=30, **HTTP_CLIENT_OPTIONS))
        wait_until(lambda: is_gateway_ready(api), f"the front, which says {log.read_text()}")
        yield Front(url, api, process)


def is_gateway_ready(api: httpx.Client) -> bool:
    """Whether a gateway is ready behind a front."""
    try:
        return api.get("/readyz").is_success
    except httpx.TransportError:
        return False
