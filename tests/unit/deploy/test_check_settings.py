"""Settings that do not fit each other, and what a report looks like."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from deploy.admin.check.blobs_check import judge_space
from deploy.admin.check.compose_check import parse_bytes
from deploy.admin.check.redis_check import judge_clock, judge_info
from deploy.admin.check.settings_check import CHILDREN, check_settings
from deploy.admin.findings import Finding, Level, error, ok, render_json, render_text, warning
from pipeline.http_settings import HttpSettings
from pipeline.settings import Settings
from pipeline.worker_settings import WorkSettings
from stages.limits import Limits
from tests.support.fast_yaml import load
from tests.support.prometheus_config import ROOT

GIB = 1024**3
SERVICES: dict[str, dict[str, Any]] = load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
FIXED = {"url": "https://shop.example/hook", "secrets": ["whsec_" + 32 * "a"], "events": ["job.done"]}
SOUND_INFO = {
    "redis_version": "8.0.1",
    "role": "master",
    "maxmemory_policy": "noeviction",
    "aof_enabled": 1,
    "aof_last_write_status": "ok",
    "used_memory": 10 * 2**20,
    "maxmemory": 384 * 2**20,
}


def find(settings: Settings, **environment: str) -> list[tuple[Level, str]]:
    """Return the level and the variable of each finding."""
    return [(each.level, each.text.split(":")[0]) for each in check_settings(settings, environment)]


def test_the_defaults_of_compose_fit_each_other() -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    defaults = dict(re.findall(r"\$\{(DARKROOM_\w+):-([^}]*)\}", text))

    assert find(Settings(), **defaults) == []


@pytest.mark.parametrize(
    ("changes", "environment", "expected"),
    [
        ({"limits": Limits(upload_bytes=2**30)}, {"DARKROOM_BODY_BYTES": "26279936"}, "DARKROOM_BODY_BYTES"),
        ({}, {"DARKROOM_BODY_BYTES": "25m"}, "DARKROOM_BODY_BYTES"),
        ({}, {"DARKROOM_WORKER_MEMORY": "much"}, "DARKROOM_WORKER_MEMORY"),
        ({}, {"DARKROOM_OUTBOUND_MEMORY": "little"}, "DARKROOM_OUTBOUND_MEMORY"),
        ({}, {"DARKROOM_NOTIFY_CONCURRENCY": "0"}, "DARKROOM_NOTIFY_CONCURRENCY"),
        ({}, {"DARKROOM_TRUSTED_PROXY": "10.0.0.1, proxy.example"}, "DARKROOM_TRUSTED_PROXY"),
        ({}, {"DARKROOM_TRUSTED_PROXY": "10.0.0.1/33"}, "DARKROOM_TRUSTED_PROXY"),
        ({}, {"DARKROOM_RESIZE_CONCURRENCY": "two"}, "DARKROOM_RESIZE_CONCURRENCY"),
        ({}, {"DARKROOM_CONNECTIONS": "0"}, "DARKROOM_CONNECTIONS"),
        ({}, {"DARKROOM_REDIS_MEMORY": "1.5g"}, "DARKROOM_REDIS_MEMORY"),
    ],
)
def test_what_cannot_work_is_an_error(changes: dict[str, Any], environment: dict[str, str], expected: str) -> None:
    assert find(Settings(**changes), **environment) == [(Level.ERROR, expected)]


@pytest.mark.parametrize(
    ("changes", "environment", "expected"),
    [
        ({"limits": Limits(pixels=100_000_000)}, {}, "DARKROOM_WORK__MAX_IMAGE_MEMORY_MIB"),
        ({}, {"DARKROOM_WORKER_MEMORY": "1g"}, "DARKROOM_WORKER_MEMORY"),
        ({}, {"DARKROOM_OUTBOUND_MEMORY": "400m"}, "DARKROOM_OUTBOUND_MEMORY"),
        ({}, {"DARKROOM_OUTBOUND_MEMORY": "512m", "DARKROOM_FETCH_CONCURRENCY": "4"}, "DARKROOM_OUTBOUND_MEMORY"),
        ({"outbound": {"allow": ("10.0.0.0/8", "0.0.0.0/0")}}, {}, "DARKROOM_OUTBOUND__ALLOW"),
        ({"outbound": {"allow": ("[::/0]:*",)}}, {}, "DARKROOM_OUTBOUND__ALLOW"),
        ({"webhooks": {"fixed": {"shop": FIXED}}}, {}, "DARKROOM_WEBHOOKS__PUBLIC_URL"),
        ({}, {"DARKROOM_REDIS_MEMORY": "1gb"}, "DARKROOM_REDIS_CONTAINER_MEMORY"),
        ({}, {"DARKROOM_BIND": "0.0.0.0"}, "DARKROOM_BIND"),  # noqa: S104
        ({}, {"DARKROOM_TOOLS_BIND": "192.0.2.7"}, "DARKROOM_TOOLS_BIND"),
        ({"http": HttpSettings(trusted_proxies=("0.0.0.0/0",))}, {}, "DARKROOM_HTTP__TRUSTED_PROXIES"),
        ({"http": HttpSettings(receive_timeout=3600)}, {}, "DARKROOM_HTTP__RECEIVE_TIMEOUT"),
        ({"http": HttpSettings(shutdown_timeout=40)}, {}, "DARKROOM_HTTP__SHUTDOWN_TIMEOUT"),
        ({"work": WorkSettings(soft_shutdown_timeout=60)}, {}, "DARKROOM_WORK__SOFT_SHUTDOWN_TIMEOUT"),
    ],
)
def test_what_may_hurt_later_is_a_warning(changes: dict[str, Any], environment: dict[str, str], expected: str) -> None:
    assert find(Settings(**changes), **environment) == [(Level.WARNING, expected)]


@pytest.mark.parametrize(
    "environment",
    [
        {"DARKROOM_TRUSTED_PROXY": "10.213.77.1,fd00::/8 192.0.2.0/24", "DARKROOM_RESIZE_CONCURRENCY": "1"},
        {"DARKROOM_REDIS_MEMORY": "1gb", "DARKROOM_REDIS_CONTAINER_MEMORY": "2g"},
        {"DARKROOM_REDIS_MEMORY": "402653184"},
        {"DARKROOM_REDIS_MEMORY": "", "DARKROOM_TRUSTED_PROXY": "", "DARKROOM_CONNECTIONS": ""},
    ],
)
def test_what_compose_passes_on_may_have_several_forms(environment: dict[str, str]) -> None:
    assert find(Settings(), **environment) == []


def test_a_public_address_with_keys_is_no_mistake() -> None:
    assert find(Settings(api_keys={"ann": "0" * 64}), DARKROOM_BIND="0.0.0.0") == []  # noqa: S104


def test_the_processes_of_a_worker_are_those_of_compose() -> None:
    workers = {name.removeprefix("worker-"): each for name, each in SERVICES.items() if name.startswith("worker-")}

    assert {queue: each["environment"]["CONCURRENCY"] for queue, each in workers.items()} == {
        queue: f"${{DARKROOM_{queue.upper()}_CONCURRENCY:-{CHILDREN.get(queue, 1)}}}" for queue in workers
    }


def test_fewer_processes_need_less_memory() -> None:
    one = {"DARKROOM_NORMALIZE_CONCURRENCY": "1", "DARKROOM_RESIZE_CONCURRENCY": "1"}
    settings = Settings(work={"max_image_memory_mib": 1088})

    assert find(settings, DARKROOM_WORKER_MEMORY="1400m", **one) == []
    assert [level for level, _ in find(settings, DARKROOM_WORKER_MEMORY="1400m")] == [Level.WARNING]


def test_pools_that_decode_nothing_do_not_count_for_the_memory_of_those_that_do() -> None:
    assert find(Settings(), DARKROOM_WORKER_MEMORY="2560m", DARKROOM_FETCH_CONCURRENCY="16") == []


def test_webhooks_with_an_address_for_links_are_no_mistake() -> None:
    webhooks = {"fixed": {"shop": FIXED}, "public_url": "https://photos.example"}

    assert find(Settings(webhooks=webhooks)) == []


@pytest.mark.parametrize(
    ("text", "size"),
    [("2560m", 2560 * 2**20), ("3g", 3 * GIB), ("1.5GiB", 3 * GIB // 2), ("512 mb", 2**29), ("7", 7), ("much", None)],
)
def test_a_size_is_read_as_docker_does(text: str, size: int | None) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize(
    ("changes", "level"),
    [
        ({}, Level.OK),
        ({"redis_version": "5.0.14"}, Level.ERROR),
        ({"redis_version": "5.0.0", "valkey_version": "9.1.0"}, Level.OK),
        ({"role": "slave"}, Level.ERROR),
        ({"maxmemory_policy": "volatile-lru"}, Level.ERROR),
        ({"aof_enabled": 0}, Level.WARNING),
        ({"aof_last_write_status": "err"}, Level.ERROR),
        ({"maxmemory": 0}, Level.WARNING),
        ({"used_memory": 330 * 2**20}, Level.WARNING),
        ({"used_memory": 384 * 2**20}, Level.ERROR),
    ],
)
def test_a_redis_is_judged_by_what_it_says_of_itself(changes: dict[str, Any], level: Level) -> None:
    levels = {finding.level for finding in judge_info(SOUND_INFO | changes)} - {Level.OK}

    assert levels == {level} - {Level.OK}


@pytest.mark.parametrize(("skew", "levels"), [(4, []), (-4, []), (6, [Level.WARNING]), (-600, [Level.WARNING])])
def test_a_clock_that_is_off_is_a_warning(skew: float, levels: list[Level]) -> None:
    assert [finding.level for finding in judge_clock("redis", skew)] == levels


@pytest.mark.parametrize(
    ("free", "needed", "level"),
    [
        (100 * GIB, 2 * GIB, Level.OK),
        (4 * GIB, 2 * GIB, Level.WARNING),
        (GIB, 2 * GIB, Level.ERROR),
        (GIB, 0, Level.WARNING),
        (GIB // 8, 0, Level.ERROR),
        (0, 0, Level.ERROR),
    ],
)
def test_a_disk_is_judged_by_its_free_space_and_by_what_an_upload_needs(free: int, needed: int, level: Level) -> None:
    assert [finding.level for finding in judge_space(free, 500 * GIB, needed=needed)] == [level]


def test_a_report_has_a_line_for_each_finding_and_says_what_to_do() -> None:
    findings = [ok("mongo", "answers"), warning("redis", "is slow", "Buy another."), error("blobs", "are gone")]

    assert render_text(findings).splitlines() == [
        "ok       mongo  answers",
        "warning  redis  is slow  -> Buy another.",
        "error    blobs  are gone",
        "1 ok, 1 warning, 1 error",
    ]


@pytest.mark.parametrize(
    ("findings", "status"), [([ok("a", "b")], "ok"), ([ok("a", "b"), error("a", "b"), warning("a", "b")], "error")]
)
def test_a_report_for_programs_has_the_worst_level(findings: list[Finding], status: str) -> None:
    assert json.loads(render_json(findings))["status"] == status
