"""The demo of the README, word for word: a page uploads with a token, its backend gets a webhook, an image is shown."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser

from deploy.local.ports import free_port
from deploy.local.stack import Stack
from deploy.local.up import LOOPBACK
from pipeline.webhooks.signing import sign
from storage.clock import now_ms
from tests.browser.page_helpers import jpeg, new_context, wait_for_size
from tests.conftest import SHORT_TIMEOUTS
from tests.integration.api_helpers import wait_until
from tests.integration.front_servers import find_program
from tests.support.http_options import HTTP_CLIENT_OPTIONS, HTTP_OPTIONS
from tests.support.locked_tools import install_npm_tools
from tests.support.programs import ROOT, run_program

README = Path("README.md").read_text(encoding="utf-8")
TEXT = README.partition("\n## A page, a webhook, an image\n")[2].partition("\n## ")[0]
[SERVER] = re.findall(r"```js server\.mjs\n(.*?)```", TEXT, re.DOTALL)
COMMANDS = "".join(re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)).splitlines()
TOOLS = ROOT / "tests" / "integration" / "webhook_tools"
MODULES = {"key": "deploy.admin.key", "cli": "gateway.cli"}
MAX_LINES, MAX_COLUMNS = 19, 120


@dataclass(frozen=True, kw_only=True)
class Demo:
    """The backend of the demo, running, and what its reader has been shown."""

    home: str
    gateway: str
    key: str
    secret: str

    def deliveries(self) -> list[dict[str, str]]:
        """Return the deliveries of the only webhook."""
        headers = {"Authorization": f"Bearer {self.key}"}
        with httpx.Client(base_url=self.gateway, headers=headers, **HTTP_CLIENT_OPTIONS) as client:
            [webhook] = client.get("/webhooks").json()["webhooks"]
            return list(client.get(webhook["links"]["deliveries"]).json()["deliveries"])


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Follow the README: its commands, in their order, with other ports."""
    folder, ports = tmp_path_factory.mktemp("demo"), {"8001": str(free_port()), "5173": str(free_port())}
    commands = [replace_ports(command, ports) for command in COMMANDS]
    key, signing, export, up, export_key, create, install, start = commands
    printed = run_task(key) | run_task(signing)
    settings = fill_in(export, printed)
    gateway, home = (f"http://127.0.0.1:{ports[port]}" for port in ("8001", "5173"))
    environment = {"DARKROOM_OUTBOUND__ALLOW": json.dumps(LOOPBACK), "DARKROOM_WEBHOOKS__PUBLIC_URL": gateway}
    assert up == "./run up"  # its ports and addresses are those of this stack
    with Stack(
        folder / "stack",
        gateway_port=int(ports["8001"]),
        shared_pool=2,
        outbound_pool=2,
        environment=SHORT_TIMEOUTS | environment | settings,
    ):
        backend = fill_in(export_key, printed)
        created = run_task(create, DARKROOM_URL=gateway, **backend)
        (folder / "server.mjs").write_text(replace_ports(SERVER, ports), encoding="utf-8")
        assert install == "npm install standardwebhooks"  # here with the versions of a lock
        (folder / "node_modules").symlink_to(install_npm_tools(TOOLS).parent)
        assignment, *program = shlex.split(start)
        assert program == ["node", "server.mjs"]
        backend |= fill_in(f"export {assignment}", created)
        with run_program(find_program("node"), "server.mjs", cwd=folder, environment=backend) as process:
            wait_until(lambda: process.poll() is not None or is_served(home), "the backend of the demo")
            yield Demo(
                home=home,
                gateway=gateway,
                key=backend["DARKROOM_API_KEY"],
                secret=backend["DARKROOM_WEBHOOK_SECRET"],
            )
            assert process.poll() is None


def replace_ports(text: str, ports: Mapping[str, str]) -> str:
    for port, other in ports.items():
        text = text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{other}").replace(f"({port},", f"({other},")
    return text


def run_task(command: str, **environment: str) -> dict[str, str]:
    """Run a command of `./run`; return the variables that it prints, and a secret of webhooks."""
    run, task, *words = shlex.split(command)
    assert run == "./run"
    result = subprocess.run(
        [sys.executable, "-m", MODULES[task], *words],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    printed = dict(re.findall(r"(DARKROOM_\w+)=(\S.*)$", result.stdout, re.MULTILINE))
    secrets = re.findall(r"whsec_[\w+/=]+", result.stdout)
    return printed | ({"DARKROOM_WEBHOOK_SECRET": secrets[0]} if secrets else {})


def fill_in(export: str, printed: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of an `export`, with what was printed in the place of each value that has an ellipsis."""
    word, *assignments = shlex.split(export)
    assert word == "export"
    values = dict(assignment.split("=", 1) for assignment in assignments)
    for name, value in values.items():
        if "…" in value:
            [values[name]] = shlex.split(printed[name])
            assert re.fullmatch(re.escape(value).replace("…", r"[\w+/=-]+"), values[name])
    return values


def is_served(home: str) -> bool:
    try:
        return httpx.get(home, **HTTP_OPTIONS).is_success
    except httpx.TransportError:
        return False


def test_the_demo_has_less_than_twenty_lines_that_fit_into_a_window() -> None:
    lines = SERVER.splitlines()

    assert len(lines) <= MAX_LINES
    assert max(map(len, lines)) <= MAX_COLUMNS


async def test_the_page_of_the_demo_shows_an_image_after_a_webhook(demo: Demo, browser: Browser) -> None:
    context = await new_context(browser)
    page = await context.new_page()
    await page.goto(demo.home)

    await page.locator("input").set_input_files([jpeg("garden.jpg", 1200, 900)])

    image = page.get_by_alt_text("A-1")  # what the token says, and the webhook repeats
    assert min(await wait_for_size(image)) > 0
    source = await image.evaluate("it => it.currentSrc")
    assert re.fullmatch(rf"{demo.gateway}/result/[\w-]+/\w+\.jpg\?v=\w+&token=[\w.-]+", source)
    wait_until(lambda: [each["status"] for each in demo.deliveries()] == ["delivered"], "the delivery's record")
    await context.close()


def test_the_backend_of_the_demo_refuses_an_event_that_was_tampered_with(demo: Demo) -> None:
    event = json.dumps({"type": "job.done", "data": {"task_id": "signed", "metadata": {}}})
    headers = sign([demo.secret], event_id="signed-1", at_ms=now_ms(), payload=event)

    def post(content: str) -> int:
        return httpx.post(f"{demo.home}/hook", content=content, headers=headers, **HTTP_OPTIONS).status_code

    assert post(event.replace("signed", "forged")) == httpx.codes.BAD_REQUEST
    assert post(event) == httpx.codes.NO_CONTENT
    known = httpx.get(f"{demo.home}/done/signed", **HTTP_OPTIONS)
    assert known.json()["task_id"] == "signed"
