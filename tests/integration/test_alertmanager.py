"""A real Alertmanager as docker-compose.yml starts it, and a real Prometheus that sends to it."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

import httpx
import pytest

from deploy.local.ports import free_port
from tests.integration.api_helpers import wait_until
from tests.support.http_options import HTTP_OPTIONS
from tests.support.programs import ROOT, run_logged_program
from tests.support.prometheus_config import PROMETHEUS_FOLDER, find_program, load_yaml, rules

FOLDER = ROOT / "deploy" / "alertmanager"
EXTERNAL_URL = "http://prometheus.test:9090"
ADDRESSES = {
    "ALERT_EMAIL_TO": "ops@example.org",
    "ALERT_SMTP_HOST": "smtp.example.org:587",
    "ALERT_SMTP_USER": "darkroom",
    "ALERT_SMTP_PASSWORD": """it's: "a" #pass\\word $HOME""",
    "ALERT_SLACK_WEBHOOK": "https://hooks.slack.com/services/x",
    "ALERT_WEBHOOK_URL": "http://127.0.0.1:9/",
}
TEMPLATES = "/usr/share/prometheus/alertmanager"  # of Debian's package
MOVED_TEMPLATES = "/proc/self/cwd" + "/." * 10  # as long
ALERTS = {rule["alert"] for rule in rules() if "alert" in rule}


def write_configuration(folder: Path, addresses: Mapping[str, str]) -> Path:
    """Write the configuration as the container does at its start."""
    (folder / "alertmanager").write_text("#!/bin/sh\n", encoding="utf-8")
    (folder / "alertmanager").chmod(0o755)
    path = f"{folder}:/usr/bin:/bin"
    environment = {"PATH": path, "TMPDIR": str(folder), **addresses}
    subprocess.run(["sh", str(FOLDER / "start.sh")], env=environment, capture_output=True, check=True)
    return folder / "alertmanager.yml"


def write_program(path: Path) -> None:
    """Write a script that runs Debian's Alertmanager, where its package is only unpacked too.

    A copy of the program has the script's working directory, named at the same length, for the folder of its templates.
    """
    program = Path(find_program("prometheus-alertmanager"))
    command, templates = str(program), Path(TEMPLATES)
    if not templates.exists():
        copy, templates = path.with_suffix(".moved"), program.parents[1] / "share/prometheus/alertmanager"
        copy.write_bytes(program.read_bytes().replace(TEMPLATES.encode(), MOVED_TEMPLATES.encode()))
        copy.chmod(0o755)
        command = str(copy)
    path.write_text(
        f'#!/bin/sh\ncd {shlex.quote(str(templates))} && exec {shlex.quote(command)} "$@"\n', encoding="utf-8"
    )
    path.chmod(0o755)


@contextmanager
def run_alertmanager(folder: Path, **addresses: str) -> Iterator[str]:
    """Run Alertmanager without its patience; yield its address."""
    for file in FOLDER.iterdir():
        shutil.copy(file, folder)
    timed = folder / "alertmanager.yml"
    timed.write_text(timed.read_text(encoding="utf-8").replace("group_wait: 10s", "group_wait: 0s"), encoding="utf-8")
    (folder / "bin").mkdir()
    write_program(folder / "bin" / "alertmanager")
    (folder / "tmp").mkdir()
    port = free_port()
    flags = [f"--storage.path={folder / 'data'}", "--cluster.listen-address=", "--web.route-prefix=/"]
    flags += [f"--web.listen-address=127.0.0.1:{port}", "--web.external-url=http://alertmanager.test"]
    environment = {"PATH": f"{folder / 'bin'}:/usr/bin:/bin", "TMPDIR": str(folder / "tmp"), **addresses}
    with run_logged_program("sh", str(folder / "start.sh"), *flags, log=folder / "log", **environment):
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: is_ready(url), "Alertmanager to answer")
        yield url


def is_ready(url: str) -> bool:
    """Whether a program of Prometheus' answers."""
    try:
        return httpx.get(f"{url}/-/ready", **HTTP_OPTIONS).is_success
    except httpx.TransportError:
        return False


@pytest.fixture
def webhook() -> Iterator[tuple[str, Queue[dict[str, Any]]]]:
    """The address of a server, and what is posted to it."""
    received: Queue[dict[str, Any]] = Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/", received
        server.shutdown()


@pytest.mark.parametrize("chosen", ["", "ALERT_EMAIL", "ALERT_SLACK", "ALERT_WEBHOOK", "ALERT"])
def test_alertmanager_accepts_what_is_made_of_any_addresses(chosen: str, tmp_path: Path) -> None:
    addresses = {name: value for name, value in ADDRESSES.items() if chosen and name.startswith((chosen, "ALERT_SMTP"))}
    config = write_configuration(tmp_path, addresses)

    done = subprocess.run([find_program("amtool"), "check-config", config], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert config.stat().st_mode & 0o777 == 0o600
    (receiver,) = load_yaml(config)["receivers"]
    assert (len(receiver) - 1) == {"": 0, "ALERT": 3}.get(chosen, 1)
    for email in receiver.get("email_configs", []):
        assert email["auth_password"] == ADDRESSES["ALERT_SMTP_PASSWORD"]


def test_an_address_without_its_mail_server_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as failed:
        write_configuration(tmp_path, {"ALERT_EMAIL_TO": "ops@example.org"})

    assert b"ALERT_SMTP_HOST: is missing in alerts.env" in failed.value.stderr


def test_the_example_names_every_variable() -> None:
    example = (FOLDER / "alerts.env.example").read_text(encoding="utf-8")

    assert {name for name in ADDRESSES if f"#{name}=" not in example} == set()


def test_every_alert_that_is_silenced_by_another_exists() -> None:
    matchers = [
        matcher.partition('"')[2].rstrip('"')
        for rule in load_yaml(FOLDER / "alertmanager.yml")["inhibit_rules"]
        for matcher in rule["source_matchers"] + rule["target_matchers"]
        if matcher.startswith("alertname")
    ]
    names = {name for matcher in matchers for name in matcher.split("|")}

    assert {name for name in names if not any(alert.startswith(name.removesuffix(".*")) for alert in ALERTS)} == set()


def test_the_consequences_of_a_store_that_is_away_are_silent(tmp_path: Path) -> None:
    labels = [
        {"alertname": "DependencyDown", "severity": "critical", "dependency": "redis"},
        {"alertname": "SweeperSilent", "severity": "critical"},
        {"alertname": "FrontendDown", "severity": "critical"},
    ]
    with run_alertmanager(tmp_path) as url:
        posted = httpx.post(f"{url}/api/v2/alerts", json=[{"labels": each} for each in labels], **HTTP_OPTIONS)
        posted.raise_for_status()

        def states() -> dict[str, str]:
            found = httpx.get(f"{url}/api/v2/alerts", **HTTP_OPTIONS).json()
            return {each["labels"]["alertname"]: each["status"]["state"] for each in found}

        wait_until(
            lambda: states() == {"DependencyDown": "active", "SweeperSilent": "suppressed", "FrontendDown": "active"},
            "the sweeper's alert to be silent",
        )


def test_a_firing_alert_reaches_a_webhook(webhook: tuple[str, Queue[dict[str, Any]]], tmp_path: Path) -> None:
    address, received = webhook
    for name in ("alertmanager", "prometheus"):
        (tmp_path / name).mkdir()
    with run_alertmanager(tmp_path / "alertmanager", ALERT_WEBHOOK_URL=address) as alertmanager:
        command, url = _prometheus(tmp_path / "prometheus", alertmanager.removeprefix("http://"))
        with run_logged_program(*command, log=tmp_path / "prometheus.log"):
            wait_until(lambda: is_ready(url), "Prometheus to answer")
            message = received.get(timeout=60)

    (alert,) = message["alerts"]
    assert alert["labels"] == {"alertname": "GatewayDown", "job": "gateway", "severity": "critical"}
    assert alert["annotations"]["summary"] == "A gateway does not answer."
    assert alert["annotations"]["runbook_url"] == f"{EXTERNAL_URL}/consoles/runbook.html#gatewaydown"
    assert alert["generatorURL"].startswith(EXTERNAL_URL)
    assert message["externalURL"] == "http://alertmanager.test"


def _prometheus(folder: Path, alertmanager: str) -> tuple[list[str], str]:
    """Return the command of a Prometheus that finds no gateway and waits for nothing, and its address."""
    config = load_yaml(PROMETHEUS_FOLDER / "prometheus.yml")
    groups = load_yaml(PROMETHEUS_FOLDER / "rules.yml")["groups"]
    (rule,) = [rule for group in groups for rule in group["rules"] if rule.get("alert") == "GatewayDown"]
    rule["for"] = "0s"
    (folder / "rules.yml").write_text(json.dumps({"groups": [{"name": "test", "rules": [rule]}]}), encoding="utf-8")
    (found,) = config["alerting"]["alertmanagers"]
    assert found.pop("dns_sd_configs")[0]["names"] == ["alertmanager"]
    found["static_configs"] = [{"targets": [alertmanager]}]
    config |= {"global": {"evaluation_interval": "1s"}, "scrape_configs": []}
    (folder / "prometheus.yml").write_text(json.dumps(config), encoding="utf-8")
    address = f"127.0.0.1:{free_port()}"
    flags = [f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'tsdb'}"]
    flags += [f"--web.listen-address={address}", f"--web.external-url={EXTERNAL_URL}", "--web.route-prefix=/"]
    flags += ["--rules.alert.resend-delay=1s"]  # the first comes before Alertmanager is found
    return [find_program("prometheus"), *flags], f"http://{address}"
