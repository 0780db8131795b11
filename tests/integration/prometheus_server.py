"""A real Prometheus on a real stack: the checked-in configuration with the stack's addresses and a shorter clock."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

import httpx

from deploy.local.ports import free_port
from deploy.local.processes import OUTBOUND_WORKER
from deploy.local.stack import Stack
from tests.integration.api_helpers import wait_until
from tests.integration.front_servers import run_nginx
from tests.support.http_options import HTTP_CLIENT_OPTIONS
from tests.support.programs import run_logged_program
from tests.support.prometheus_config import PROMETHEUS_FOLDER, find_program, load_yaml

USER, PASSWORD = "darkroom", "of the test"
CLOCK = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
VARIABLES = {"$__rate_interval": "10s", "$__range": "30s", "$queue": ".+", "$stage": ".+"}


class Prometheus:
    """A client of Prometheus' HTTP API; a context manager."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=10, **HTTP_CLIENT_OPTIONS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def is_ready(self) -> bool:
        """Whether it answers questions."""
        try:
            return self._http.get("/-/ready").is_success
        except httpx.TransportError:
            return False

    def get(self, path: str, **parameters: str) -> Any:
        """Return what the API answers; fails with what it says is wrong."""
        answer = self._http.get(f"/api/v1/{path}", params=parameters).json()
        assert answer["status"] == "success", f"{parameters}: {answer['error']}"
        return answer["data"]

    def fetch(self, url: str) -> httpx.Response:
        """Return what is at an address of its own, as a browser asks for it."""
        return self._http.get(url)

    def ask(self, expression: str) -> list[dict[str, str]]:
        """Return the labels of each series that an expression, a dashboard's variables in it, has a value of now."""
        for name, value in VARIABLES.items():
            expression = expression.replace(name, value)
        series = self.get("query", query=expression)["result"]
        return [each["metric"] for each in series if not math.isnan(float(each["value"][1]))]


@contextmanager
def run_prometheus(stack: Stack, folder: Path) -> Iterator[Prometheus]:
    """Run Prometheus, nginx, backups and a guarded Flower beside the block; none of their processes outlives it."""
    port, flower_port, backups_port = free_port(), free_port(), free_port()
    flower = {
        "DARKROOM_REDIS_URL": stack.redis_url,
        "DARKROOM_MONGO_URL": stack.mongo_url,
        "DARKROOM_FLOWER_PORT": str(flower_port),
        "DARKROOM_FLOWER_USER": USER,
        "DARKROOM_FLOWER_PASSWORD": PASSWORD,
        "DARKROOM_FLOWER_FOLDER": str(folder / "flower"),
    }
    backups = {
        "DARKROOM_MONGO_URL": stack.mongo_url,
        "DARKROOM_BLOB_URL": stack.blob_folder.as_uri(),
        "DARKROOM_BACKUP__TARGET": (folder / "backups").as_uri(),
        "DARKROOM_METRICS__PORT": str(backups_port),
    }
    with ExitStack() as resources:
        front = resources.enter_context(run_nginx(stack.url, folder / "nginx"))
        urls = {**stack.metrics_urls, "frontend-metrics": front.metrics_url}
        targets = {name: httpx.URL(url).netloc.decode() for name, url in urls.items()}
        if OUTBOUND_WORKER in targets:  # one worker serves two queues here; in containers each has its own
            targets["fetch"] = targets.pop(OUTBOUND_WORKER)
        targets["backups"] = f"127.0.0.1:{backups_port}"
        targets |= {"prometheus": f"127.0.0.1:{port}", "flower": f"127.0.0.1:{flower_port}"}
        command = [find_program("prometheus"), f"--config.file={_configuration(targets, folder)}"]
        command += [f"--storage.tsdb.path={folder / 'tsdb'}", f"--web.listen-address=127.0.0.1:{port}"]
        command += [f"--web.console.templates={PROMETHEUS_FOLDER / 'consoles'}", "--web.route-prefix=/"]
        command += [f"--web.external-url=http://127.0.0.1:{port}"]
        resources.enter_context(
            run_logged_program(sys.executable, "-m", "pipeline.flower", log=folder / "flower.log", **flower)
        )
        schedule = [sys.executable, "-m", "deploy.admin.backup", "schedule"]
        resources.enter_context(run_logged_program(*schedule, log=folder / "backups.log", **backups))
        resources.enter_context(run_logged_program(*command, "--log.level=warn", log=folder / "prometheus.log"))
        prometheus = resources.enter_context(Prometheus(f"http://127.0.0.1:{port}"))
        wait_until(prometheus.is_ready, "Prometheus to answer")
        yield prometheus


def _configuration(targets: Mapping[str, str], folder: Path) -> Path:
    config = load_yaml(PROMETHEUS_FOLDER / "prometheus.yml")
    config["global"], config["rule_files"] = CLOCK, [str(PROMETHEUS_FOLDER / "rules.yml")]
    for job in config["scrape_configs"]:
        for found in job.pop("dns_sd_configs", []):  # answered as the name server would have
            job["static_configs"] = [
                {"targets": [targets[name.removeprefix("worker-")]], "labels": {"__meta_dns_name": name}}
                for name in found["names"]
                if name.removeprefix("worker-") in targets
            ]
        if job["job_name"] in {"prometheus", "flower"}:
            job["static_configs"] = [{"targets": [targets[job["job_name"]]]}]
        if job["job_name"] == "flower":
            job["basic_auth"]["password_file"] = str(folder / "password")
    (folder / "password").write_text(PASSWORD, encoding="utf-8")
    file = folder / "prometheus.yml"
    file.write_text(json.dumps(config), encoding="utf-8")  # which is YAML too
    return file
