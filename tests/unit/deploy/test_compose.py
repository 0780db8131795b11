"""What docker-compose.yml promises of every container, read off the file."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from deploy.generate.worker_memory import child_mib, container_mib, image_mib
from pipeline.routing import OUTBOUND_QUEUES, QUEUES
from pipeline.settings import Settings
from tests.support.fast_yaml import load
from tests.support.prometheus_config import ROOT

TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
SERVICES: dict[str, dict[str, Any]] = load(TEXT)["services"]
NETWORKS = load(TEXT)["networks"]
ONE_SHOTS = {"secrets", "configuration", "backup", "check"}
WORKERS = [f"worker-{queue}" for queue in QUEUES]
OUTBOUND_WORKERS = {f"worker-{queue}" for queue in OUTBOUND_QUEUES}
STAGE_WORKERS = [worker for worker in WORKERS if worker not in OUTBOUND_WORKERS]
EXPORTERS = {"redis-exporter", "mongo-exporter"}
LASTING = sorted(SERVICES.keys() - ONE_SHOTS)
PUBLISHED = {
    "frontend": 8000,
    "gateway": 8001,
    "flower": 5555,
    "prometheus": 9090,
    "grafana": 3000,
    "alertmanager": 9093,
}


def volumes(name: str) -> dict[str, str]:
    """Return the target of each volume or folder that a service mounts."""
    mounts = [mount for mount in SERVICES[name].get("volumes", []) if isinstance(mount, dict)]
    texts = [mount for mount in SERVICES[name].get("volumes", []) if isinstance(mount, str)]
    short = [re.sub(r"\$\{\w+:-(\w+)\}", r"\1", text).split(":") for text in texts]
    return {mount["source"]: mount["target"] for mount in mounts} | {source: target for source, target, *_ in short}


def networks(name: str) -> set[str]:
    """Return the networks of a service."""
    return set(SERVICES[name].get("networks", ()))


def test_there_is_a_worker_for_every_queue() -> None:
    assert {name for name in SERVICES if name.startswith("worker-")} == set(WORKERS)


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_is_confined(name: str) -> None:
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["init"] is True
    assert {"cpus", "mem_limit", "pids_limit"} <= service.keys()
    assert service["logging"] == {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}}


@pytest.mark.parametrize("queue", QUEUES)
def test_a_worker_has_the_memory_that_its_children_may_take(queue: str) -> None:
    worker, settings = SERVICES[f"worker-{queue}"], Settings()
    variable = "DARKROOM_OUTBOUND_MEMORY" if queue in OUTBOUND_QUEUES else "DARKROOM_WORKER_MEMORY"
    default = re.fullmatch(rf"\$\{{{variable}:-(\d+)m\}}", worker["mem_limit"])

    children = re.sub(r"\$\{\w+:-(\d+)\}", r"\1", str(worker["environment"]["CONCURRENCY"]))

    assert default
    assert int(default[1]) >= container_mib(int(children), child_mib(queue, settings))
    assert settings.work.max_image_memory_mib >= image_mib(queue, settings)


def test_redis_has_twice_the_memory_that_it_may_use() -> None:
    redis = SERVICES["redis"]
    used = re.search(r"--maxmemory \$\{DARKROOM_REDIS_MEMORY:-(\d+)mb\}", redis["command"])
    limit = re.fullmatch(r"\$\{DARKROOM_REDIS_CONTAINER_MEMORY:-(\d+)m\}", redis["mem_limit"])

    assert used
    assert limit
    assert int(limit[1]) == 2 * int(used[1])


@pytest.mark.parametrize("name", LASTING)
def test_every_lasting_container_is_watched_and_started_again(name: str) -> None:
    service = SERVICES[name]

    assert service["healthcheck"].get("interval") or name in EXPORTERS  # which hold no program that could ask
    assert service["restart"] == "unless-stopped"
    assert service["stop_grace_period"]


@pytest.mark.parametrize("name", SERVICES)
def test_whatever_is_waited_for_is_healthy_or_done(name: str) -> None:
    conditions = {other: wait["condition"] for other, wait in SERVICES[name].get("depends_on", {}).items()}

    for other, condition in conditions.items():
        assert condition == ("service_completed_successfully" if other in ONE_SHOTS else "service_healthy")


@pytest.mark.parametrize("name", SERVICES)
def test_only_what_is_for_people_is_published_and_on_loopback_unless_told_otherwise(name: str) -> None:
    ports = SERVICES[name].get("ports", [])

    assert len(ports) == (name in PUBLISHED)
    for port in ports:
        pattern = rf"\$\{{DARKROOM_(TOOLS_)?BIND:-127\.0\.0\.1\}}:\$\{{\w+:-{PUBLISHED[name]}\}}:{PUBLISHED[name]}"
        assert re.fullmatch(pattern, port)


@pytest.mark.parametrize("name", ["redis", "mongo", "backup", "backups", *STAGE_WORKERS])
def test_stores_and_workers_are_on_inner_networks_only(name: str) -> None:
    assert all(NETWORKS[network]["internal"] for network in networks(name))


def test_of_the_workers_those_of_fetch_and_notify_alone_have_a_way_out() -> None:
    outer = {name: [each for each in networks(name) if not (NETWORKS[each] or {}).get("internal")] for name in WORKERS}

    assert {name for name, found in outer.items() if found} == OUTBOUND_WORKERS
    assert {name for name in SERVICES if networks(name) & {"outbound"}} == OUTBOUND_WORKERS
    assert all(len(found) <= 1 for found in outer.values())  # of two, the engine would choose the way out


@pytest.mark.parametrize(
    ("name", "others"),
    [
        ("frontend", {"gateway", "prometheus"}),
        ("gateway", {"frontend", "check", "redis", "mongo", "prometheus"}),
        ("backup", {"mongo", "mongo-exporter", "backups"}),
        ("backups", {"mongo", "backup", "prometheus", "redis-exporter", "mongo-exporter", "alertmanager"}),
        ("flower", {"redis", "redis-exporter", "prometheus", "grafana"}),
        ("redis-exporter", {"redis", "flower", "mongo-exporter", "backups", "alertmanager", "prometheus"}),
        ("mongo-exporter", {"mongo", "backup", "redis-exporter", "backups", "alertmanager", "prometheus"}),
        ("alertmanager", {"redis-exporter", "mongo-exporter", "backups", "prometheus"}),
        *((worker, {*WORKERS, "redis", "mongo", "prometheus"} - {worker}) for worker in WORKERS),
    ],
)
def test_those_who_need_not_talk_have_no_network_in_common(name: str, others: set[str]) -> None:
    neighbours = {other for other in SERVICES if networks(other) & networks(name)} - {name}

    assert neighbours == others


def test_prometheus_listens_only_where_people_and_grafana_are() -> None:
    prometheus = SERVICES["prometheus"]
    listens = [word for word in prometheus["command"] if word.startswith("--web.listen-address")]
    aliases = {name: (given or {}).get("aliases") for name, given in prometheus["networks"].items()}

    assert listens == ["--web.listen-address=prometheus-web:9090"]
    assert aliases.pop("tools") == ["prometheus-web"]
    assert set(aliases.values()) == {None}
    assert prometheus["sysctls"] == {"net.ipv4.conf.all.arp_ignore": 1}
    assert not networks("prometheus") - {"tools"} & networks("grafana")


def test_nginx_tells_its_metrics_only_where_prometheus_is() -> None:
    aliases = {name: (given or {}).get("aliases") for name, given in SERVICES["frontend"]["networks"].items()}
    ((network, (name,)),) = [(network, names) for network, names in aliases.items() if names]
    listens = SERVICES["frontend"]["environment"]["DARKROOM_METRICS_LISTEN"]

    assert {name for name in SERVICES if network in networks(name)} == {"frontend", "prometheus"}
    assert NETWORKS[network]["internal"]
    assert listens == f"{name}:8081"


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_port_is_published_on_the_one_network_that_is_not_internal(name: str) -> None:
    assert len([network for network in networks(name) if not (NETWORKS[network] or {}).get("internal")]) == 1


def test_the_frontend_and_the_gateway_meet_on_the_network_whose_address_is_trusted() -> None:
    assert networks("frontend") & networks("gateway") == {"front"}


def test_a_stack_takes_few_networks_from_the_thirty_that_an_engine_has() -> None:
    assert len(NETWORKS) - len({"outside-alerts"}) <= 11


def test_what_may_reach_out_reaches_the_gateway_no_more() -> None:
    over = load((ROOT / "deploy/compose/outside.yml").read_text(encoding="utf-8"))["services"]

    assert set(over["gateway"]["networks"]) == {"outside"}
    assert {network for worker in STAGE_WORKERS for network in over[worker]["networks"]} == {"worker-outside"}
    assert not {worker for worker in OUTBOUND_WORKERS if "networks" in over[worker]}


def test_what_refuses_a_bucket_uses_it_where_it_may_reach_out() -> None:
    over = load((ROOT / "deploy/compose/outside.yml").read_text(encoding="utf-8"))["services"]
    refusing = {name for name in SERVICES if SERVICES[name].get("environment", {}).get("DARKROOM_GIVEN_BLOB_URL")}

    assert refusing == over.keys()
    assert all("${DARKROOM_BLOB_URL:-" in service["environment"]["DARKROOM_BLOB_URL"] for service in over.values())


@pytest.mark.parametrize("name", sorted(SERVICES.keys() - {"secrets"}))
def test_every_container_mounts_its_own_secrets_only(name: str) -> None:
    own = {source for source in volumes(name) if source.startswith("secrets")}

    shared = name in {"gateway", "backup", "backups", "check"} or name.startswith("worker-")
    assert own <= {"secrets-app" if shared else f"secrets-{name}"}


@pytest.mark.parametrize("queue", QUEUES)
def test_the_containers_of_each_pool_are_a_setting_so_that_an_upgrade_keeps_them(queue: str) -> None:
    assert SERVICES[f"worker-{queue}"]["scale"] == f"${{DARKROOM_{queue.upper()}_REPLICAS:-1}}"


@pytest.mark.parametrize("name", sorted(set(LASTING) - EXPORTERS))
def test_a_slow_start_is_no_failure(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["start_period"] == "180s"


@pytest.mark.parametrize("name", LASTING)
def test_a_mount_point_in_tmp_is_made_by_the_image(name: str) -> None:
    mounts = [Path(mount.partition(":")[0]) for mount in SERVICES[name].get("tmpfs", ())]
    below = {mount for mount in mounts if mount.parent.name == "tmp"}
    dockerfile = SERVICES[name].get("build", {}).get("dockerfile")
    made = (ROOT / dockerfile).read_text(encoding="utf-8") if dockerfile else ""

    assert [folder for folder in below if f"mkdir -m 1777 {folder}\n" not in made] == []


def test_no_container_mounts_a_file_of_the_tree() -> None:
    sources = {source for name in SERVICES for source in volumes(name)}

    assert sources - load(TEXT)["volumes"].keys() == {"${DARKROOM_PRESETS_FOLDER:-./presets}"}  # a user's own files


def test_presets_are_mounted_read_only_and_for_the_gateway_alone() -> None:
    having = {name for name, service in SERVICES.items() if "PRESETS_FOLDER" in str(service.get("volumes"))}
    told = {name for name, service in SERVICES.items() if service.get("environment", {}).get("DARKROOM_PRESETS")}

    assert having == told == {"gateway", "check"}
    (mount,) = [each for each in SERVICES["gateway"]["volumes"] if "bind" in each]
    assert mount["read_only"]
    assert mount["target"] == SERVICES["gateway"]["environment"]["DARKROOM_PRESETS"]


def test_the_stores_wait_for_nothing_that_an_upgrade_of_darkroom_replaces() -> None:
    waited_for = {other for name in ("redis", "mongo") for other in SERVICES[name]["depends_on"]}

    assert waited_for == {"secrets"}
    assert SERVICES["secrets"]["image"].partition(":")[0] != SERVICES["gateway"]["image"].partition(":")[0]


def test_scheduled_backups_are_off_by_default_and_only_read_what_they_save() -> None:
    started = {name for name in SERVICES if not SERVICES[name].get("profiles")}

    assert not {"backup", "backups"} & started
    assert "blobs:/var/lib/darkroom/blobs:ro" in SERVICES["backups"]["volumes"]


def test_no_password_stands_in_the_file() -> None:
    values = re.findall(r"(?i)^\s*\w*(?:password|secret|token)\w*: *(\S+)$", TEXT, re.MULTILINE)
    urls = re.findall(r"\w+://[^\s/]*@", TEXT)

    assert values
    assert all(value.startswith("/run/secrets") or value == '""' for value in values)
    assert not urls


def test_the_gateway_trusts_the_page_and_one_proxy_that_is_configured() -> None:
    trusted = json.loads(SERVICES["gateway"]["environment"]["DARKROOM_HTTP__TRUSTED_PROXIES"])
    page = SERVICES["frontend"]["networks"]["front"]["ipv4_address"]

    assert trusted == [page, "${DARKROOM_TRUSTED_PROXY:-127.0.0.1}"]


def test_a_proxy_on_this_machine_has_the_address_that_the_documentation_names() -> None:
    gateway = NETWORKS["front"]["ipam"]["config"][0]["gateway"]
    documentation = (ROOT / "deploy/docs/DEPLOYMENT.md").read_text(encoding="utf-8")

    assert f"`DARKROOM_TRUSTED_PROXY={gateway.replace('${DARKROOM_FRONT_NET:-', '').replace('}', '')}`" in documentation


def test_the_cache_of_results_leaves_room_for_those_that_arrive() -> None:
    site = (ROOT / "deploy/nginx/templates/darkroom.conf.template").read_text(encoding="utf-8")
    cached, free = (int(re.findall(rf"{name}=(\d+)m", site)[0]) for name in ("max_size", "min_free"))
    disk = re.findall(r"size=(\d+)m$", SERVICES["frontend"]["tmpfs"][0])

    assert cached + 2 * free <= int(disk[0])


@pytest.mark.parametrize("file", ["deploy/docker/Dockerfile", "deploy/nginx/Dockerfile"])
def test_images_run_as_nobody_in_particular_and_know_whether_they_are_well(file: str) -> None:
    last_stage = (ROOT / file).read_text(encoding="utf-8").rpartition("\nFROM ")[2]
    users = re.findall(r"^USER (\S+)", last_stage, re.MULTILINE)

    assert users in (["10001:10001"], ["nginx"])
    assert "\nHEALTHCHECK " in last_stage
    assert "org.opencontainers.image.title" in last_stage


def test_the_image_installs_what_the_lock_names_and_nothing_else() -> None:
    installs = [
        line
        for line in Path(ROOT / "deploy/docker/Dockerfile").read_text(encoding="utf-8").splitlines()
        if " install " in line
    ]

    assert len(installs) == 1
    assert "--require-hashes" in installs[0]


def test_whatever_is_started_in_place_of_mongod_changes_nothing_else() -> None:
    over = load((ROOT / "tests/compose/no-mongod.yml").read_text(encoding="utf-8"))["services"]
    asking = {name for name in SERVICES if "secrets-app" in volumes(name)} - {"secrets"}

    assert over.keys() == asking | {"mongo"}
    assert all(over[name].keys() == {"environment"} for name in asking)


@pytest.mark.parametrize("file", ["dev.yml", "outside.yml"])
def test_what_is_laid_over_names_containers_that_there_are(file: str) -> None:
    over = load((ROOT / "deploy/compose" / file).read_text(encoding="utf-8"))["services"]

    assert over.keys() <= SERVICES.keys()
    assert over.keys() >= {"gateway", *(f"worker-{queue}" for queue in QUEUES)}
