"""Debian's exporter of Redis as the user that docker-compose.yml gives it: what it may do, what the dashboard needs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families as parse
from redis import Redis
from redis.exceptions import NoPermissionError, RedisError

from deploy.compose import credentials
from deploy.local.ports import free_port
from tests.integration.api_helpers import wait_until
from tests.support.fast_yaml import load
from tests.support.http_options import HTTP_OPTIONS
from tests.support.programs import ROOT, run_logged_program
from tests.support.prometheus_config import find_program, load_dashboards, panels, selectors
from tests.support.redis_servers import run_redis_by_script

PASSWORDS = {name: f"of {name}" for name in credentials.PASSWORDS}
FILES = credentials.render_reader_files(PASSWORDS)
SERVICE = load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]["redis-exporter"]


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a Redis with the users of docker-compose.yml."""
    folder, port = tmp_path_factory.mktemp("redis"), free_port()
    (folder / "users.acl").write_text(FILES["redis/users.acl"], encoding="utf-8")
    options = f"--port {port} --bind 127.0.0.1 --dir {folder} --save '' --aclfile {folder}/users.acl --maxmemory 384mb"
    with run_redis_by_script(folder, f"exec redis-server {options}"):
        wait_until(lambda: answers(port), "Redis")
        yield port


def answers(port: int) -> bool:
    """Whether the server answers."""
    try:
        with as_user(port, "darkroom", "redis") as darkroom:
            return bool(darkroom.ping())
    except RedisError:
        return False


def as_user(port: int, user: str, name: str) -> Redis:
    """Return a client that is one of the users."""
    return Redis(port=port, username=user, password=PASSWORDS[name], decode_responses=True)


def test_the_exporter_shows_what_the_dashboard_asks_for_and_is_refused_nothing(port: int, tmp_path: Path) -> None:
    address, listen = f"redis://127.0.0.1:{port}", f"127.0.0.1:{free_port()}"
    passwords = json.loads(FILES["redis-exporter/passwords.json"])
    moved = {key.replace("redis:6379", f"127.0.0.1:{port}"): value for key, value in passwords.items()}
    (tmp_path / "passwords.json").write_text(json.dumps(moved), encoding="utf-8")
    settings = SERVICE["environment"] | {
        "REDIS_ADDR": address,
        "REDIS_PASSWORD_FILE": str(tmp_path / "passwords.json"),
        "REDIS_EXPORTER_WEB_LISTEN_ADDRESS": listen,
    }
    with (
        run_logged_program(find_program("prometheus-redis-exporter"), log=tmp_path / "log", **settings),
        as_user(port, "darkroom", "redis") as darkroom,
    ):
        darkroom.rpush("validate", "a message")
        wait_until(lambda: bool(scrape(listen)), "the exporter to reach Redis")
        shown = scrape(listen)
        denied = darkroom.info("errorstats").get("errorstat_NOPERM")

    assert asked_for("redis", "redis_") - shown == set()
    assert denied is None
    errors = [line for line in (tmp_path / "log").read_text().splitlines() if "level=err" in line]
    assert [line for line in errors if "Loaded 2 entries" not in line] == []


def scrape(listen: str) -> set[str]:
    """Return the names of an exporter's metrics; none before it has reached its server."""
    try:
        text = httpx.get(f"http://{listen}/metrics", **HTTP_OPTIONS).text
    except httpx.TransportError:
        return set()
    samples = [sample for family in parse(text) for sample in family.samples]
    return {sample.name for sample in samples} if any(s.name == "redis_up" and s.value for s in samples) else set()


def asked_for(board: str, prefix: str) -> set[str]:
    """Return the metrics with this prefix that a dashboard asks for."""
    queries = [target["expr"] for panel in panels(load_dashboards()[board]) for target in panel["targets"]]
    return {name for query in queries for name in selectors(query) if name.startswith(prefix)}


@pytest.mark.parametrize("command", ["GET validate", "LLEN validate", "CONFIG GET *", "KEYS *", "ACL LIST", "SCAN 0"])
def test_the_exporter_sees_no_key_and_no_configuration(port: int, command: str) -> None:
    with as_user(port, "exporter", "redis_exporter") as exporter, pytest.raises(NoPermissionError):
        exporter.execute_command(*command.split())
