"""A server of 1 GiB: what deploy/compose/small.yml makes of docker-compose.yml."""

from __future__ import annotations

import re
from typing import Any

import pytest

from deploy.generate.worker_memory import BYTES_PER_ANIMATION_PIXEL, allowed_mib
from pipeline.routing import INNER_QUEUES, OUTBOUND_QUEUES
from tests.support.fast_yaml import load
from tests.support.prometheus_config import ROOT
from tests.unit.deploy.test_compose import ONE_SHOTS, SERVICES

MIB = 1024 * 1024


TEXT = (ROOT / "deploy/compose/small.yml").read_text(encoding="utf-8")
SMALL: dict[str, dict[str, Any]] = load(TEXT.replace("!override", ""))["services"]


def profiles(name: str) -> set[str]:
    """Return the profiles that switch a service on; none: it is always on."""
    return {*SERVICES[name].get("profiles", ()), *SMALL.get(name, {}).get("profiles", ())}


RUNNING = sorted(name for name in SERVICES.keys() - ONE_SHOTS if not profiles(name))


def test_it_names_containers_that_there_are() -> None:
    assert SMALL.keys() <= SERVICES.keys()


def test_only_what_is_needed_runs() -> None:
    assert set(RUNNING) == {"frontend", "gateway", "mongo", "redis", "worker-normalize"}


@pytest.mark.parametrize("name", SERVICES)
def test_nothing_waits_for_what_is_off(name: str) -> None:
    needed = SERVICES[name].get("depends_on", {})

    assert not [other for other in needed if profiles(other) and not profiles(name) <= profiles(other)]


def test_the_limits_of_what_runs_add_up_to_a_gibibyte() -> None:
    limits = [re.fullmatch(r"(\d+)m", SMALL[name]["mem_limit"]) for name in RUNNING]

    assert sum(int(limit[1]) for limit in limits if limit) == 1024


def test_one_worker_takes_the_messages_of_all_stages() -> None:
    words = SMALL["worker-normalize"]["command"][-1].split()

    assert words[words.index("-Q") + 1].split(",") == list(INNER_QUEUES)
    assert words[words.index("-n") + 1] == "$$QUEUE@%h"  # the commands of the runbook find it
    assert set(words) - {words[words.index("-Q") + 1]} == set(SERVICES["worker-normalize"]["command"][-1].split()) - {
        "$$QUEUE"
    }


def test_the_others_are_off_but_can_be_switched_on() -> None:
    assert {profile for queue in OUTBOUND_QUEUES for profile in profiles(f"worker-{queue}")} == {"outbound"}
    assert all(profiles(f"worker-{queue}") for queue in INNER_QUEUES if queue != "normalize")


def test_an_image_that_needs_too_much_memory_is_refused_before_a_process_is_killed() -> None:
    worker = SMALL["worker-normalize"]
    allowed = worker["environment"]["DARKROOM_WORK__MAX_IMAGE_MEMORY_MIB"]
    children = int(re.sub(r"\$\{\w+:-(\d+)\}", r"\1", worker["environment"]["CONCURRENCY"]))

    assert allowed <= allowed_mib(int(worker["mem_limit"].removesuffix("m")), children)


def test_gateway_and_worker_have_the_same_limits_and_an_animation_within_them_passes() -> None:
    shown, enforced = SMALL["gateway"]["environment"], SMALL["worker-normalize"]["environment"]

    assert shown.items() <= enforced.items()
    needed = BYTES_PER_ANIMATION_PIXEL * shown["DARKROOM_LIMITS__ANIMATION_PIXELS"] / MIB
    assert needed < shown["DARKROOM_WORK__MAX_IMAGE_MEMORY_MIB"]


@pytest.mark.parametrize("name", ["redis", "mongo"])
def test_a_store_keeps_the_options_that_it_has_for_a_large_server(name: str) -> None:
    large, small = (
        " ".join(command) if isinstance(command, list) else command
        for command in (SERVICES[name]["command"], SMALL[name]["command"])
    )

    assert {word for word in large.split() if word.startswith("--")} <= set(small.split())


def test_redis_has_twice_the_memory_that_it_may_use() -> None:
    allowed = re.search(r"--maxmemory (\d+)mb", SMALL["redis"]["command"])

    assert allowed
    assert 2 * int(allowed[1]) <= int(SMALL["redis"]["mem_limit"].removesuffix("m"))


def test_what_nginx_keeps_in_memory_is_within_its_limit() -> None:
    assert "tmpfs: !override" in TEXT  # else Compose would mount both

    (mount,) = SMALL["frontend"]["tmpfs"]
    size = re.search(r"size=(\d+)m", mount)

    assert size
    assert int(size[1]) < int(SMALL["frontend"]["mem_limit"].removesuffix("m"))
