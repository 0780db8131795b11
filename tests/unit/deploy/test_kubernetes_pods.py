"""What runs in the cluster: as little power as can be, told to stop in time, and in step with docker-compose.yml."""

from __future__ import annotations

import re
from typing import Any

import pytest

from deploy.compose.credentials import ACL, RIGHTS
from deploy.generate.kustomize import Manifest, render
from deploy.generate.worker_memory import child_mib, container_mib
from deploy.local.processes import SERVER_STOP_SECONDS
from gateway.server.serve import LAST_ANSWER_SECONDS
from pipeline.routing import QUEUES
from pipeline.settings import Settings
from pipeline.worker_settings import WorkSettings
from tests.support.prometheus_config import ROOT, load_yaml

HERE = ROOT / "deploy" / "kubernetes"
OVERLAYS = {name: render(HERE / "overlays" / name) for name in ("small", "production")}
PODS = [each for manifests in OVERLAYS.values() for each in manifests if each["kind"] in {"Deployment", "StatefulSet"}]
SMALL_BACKUP = render(HERE / "overlays" / "small", HERE / "components" / "backup-small")
JOBS = {each["metadata"]["name"]: each for each in SMALL_BACKUP if each["kind"] == "CronJob"}
WORKERS = {
    each["metadata"]["labels"]["darkroom/queue"]: each
    for each in OVERLAYS["production"]
    if each["kind"] == "Deployment" and each["metadata"]["labels"]["app.kubernetes.io/component"] == "worker"
}
COMPOSE = load_yaml(ROOT / "docker-compose.yml")["services"]
NGINX = (ROOT / "deploy" / "nginx" / "nginx.conf").read_text(encoding="utf-8")
STOP_SECONDS = {
    "gateway": Settings().http.shutdown_timeout + LAST_ANSWER_SECONDS,
    "frontend": int(*re.findall(r"worker_shutdown_timeout (\d+)s;", NGINX)),
}
BYTES = {"Mi": 1 << 20, "Gi": 1 << 30}
IDS = [f"{each['metadata']['name']}-{number}" for number, each in enumerate(PODS)]

every_container = pytest.mark.parametrize("workload", [*PODS, *JOBS.values()], ids=[*IDS, *JOBS])
every_pod = pytest.mark.parametrize("workload", PODS, ids=IDS)
every_queue = pytest.mark.parametrize("queue", QUEUES)


def pod_of(workload: Manifest) -> dict[str, Any]:
    spec = workload["spec"]
    found: dict[str, Any] = spec.get("jobTemplate", {}).get("spec", spec)["template"]["spec"]
    return found


def container_of(workload: Manifest) -> dict[str, Any]:
    containers: list[dict[str, Any]] = pod_of(workload)["containers"]
    assert len(containers) == 1
    return containers[0]


def environment_of(workload: Manifest) -> dict[str, str]:
    return {each["name"]: each.get("value", "") for each in container_of(workload)["env"]}


def amount(text: str) -> int:
    number, unit = text[:-2], text[-2:]
    return int(number) * BYTES[unit]


def named(overlay: str, kind: str) -> dict[str, Manifest]:
    return {each["metadata"]["name"]: each for each in OVERLAYS[overlay] if each["kind"] == kind}


@every_container
def test_a_pod_has_no_power_that_it_does_not_need(workload: Manifest) -> None:
    pod, container = pod_of(workload), container_of(workload)

    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert (pod["automountServiceAccountToken"], pod["enableServiceLinks"]) == (False, False)
    if container["image"].startswith("registry.example.com/darkroom:"):
        assert pod["securityContext"]["runAsUser"] == 10001


@every_pod
def test_a_pod_says_how_it_is_and_what_it_takes(workload: Manifest) -> None:
    container = container_of(workload)
    ports = {port["name"] for port in container["ports"]}

    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        asked = container[probe].get("httpGet") or container[probe].get("tcpSocket") or {}
        assert asked.get("port", next(iter(ports))) in ports
    assert set(container["resources"]["requests"]) >= {"cpu", "memory"}
    assert amount(container["resources"]["requests"]["memory"]) <= amount(container["resources"]["limits"]["memory"])
    assert "cpu" not in container["resources"]["limits"]


@every_container
def test_an_image_is_named_by_its_version(workload: Manifest) -> None:
    assert re.fullmatch(r"(registry\.example\.com/darkroom(-frontend)?:0\.0\.0|redis:8|mongo:8)", image_of(workload))


def image_of(workload: Manifest) -> str:
    image: str = container_of(workload)["image"]
    return image


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_whatever_runs_for_long_may_be_drained_one_by_one(overlay: str) -> None:
    budgets = named(overlay, "PodDisruptionBudget")

    assert set(budgets) == set(named(overlay, "Deployment"))
    assert {each["spec"]["maxUnavailable"] for each in budgets.values()} == {1}
    for name, deployment in named(overlay, "Deployment").items():
        assert budgets[name]["spec"]["selector"] == deployment["spec"]["selector"]


def test_every_queue_has_a_pool_that_keda_scales() -> None:
    scaled = named("production", "ScaledObject")

    assert set(WORKERS) == set(QUEUES)
    assert {each["spec"]["scaleTargetRef"]["name"] for each in scaled.values()} == {
        worker["metadata"]["name"] for worker in WORKERS.values()
    }


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_nobody_but_a_scaler_decides_how_many_there_are(overlay: str) -> None:
    scalers = [*named(overlay, "ScaledObject").values(), *named(overlay, "HorizontalPodAutoscaler").values()]
    targets = {each["spec"]["scaleTargetRef"]["name"] for each in scalers}

    assert not [name for name in targets if "replicas" in named(overlay, "Deployment")[name]["spec"]]


@every_queue
def test_a_pool_works_as_that_of_docker_compose(queue: str) -> None:
    composed = COMPOSE[f"worker-{queue}"]
    environment, container = environment_of(WORKERS[queue]), container_of(WORKERS[queue])
    told = re.sub(r"\$\((\w+)\)", r"$\1", " ".join([*container["command"], *container["args"]]))
    elsewhere = {
        "DARKROOM_REDIS_URL",
        "DARKROOM_MONGO_URL",
        "DARKROOM_BLOB_URL",
        "DARKROOM_GIVEN_BLOB_URL",
        "DARKROOM_SECRETS_DIR",
        "DARKROOM_HEALTH",
    }

    assert f"exec {told}" == composed["command"][-1].replace("$$", "$").strip()
    defaults = {name: re.sub(r"\$\{\w+:-(.*)\}", r"\1", str(value)) for name, value in composed["environment"].items()}
    assert environment == {name: value for name, value in defaults.items() if value and name not in elsewhere}


@every_queue
def test_a_worker_has_time_to_hand_its_work_back(queue: str) -> None:
    grace = pod_of(WORKERS[queue])["terminationGracePeriodSeconds"]

    assert environment_of(WORKERS[queue])["REMAP_SIGTERM"] == "SIGQUIT"
    assert WorkSettings().soft_shutdown_timeout + 10 <= grace
    assert f"{grace}s" == COMPOSE[f"worker-{queue}"]["stop_grace_period"]


@every_queue
def test_a_worker_has_the_memory_that_its_children_may_take(queue: str) -> None:
    limit = amount(container_of(WORKERS[queue])["resources"]["limits"]["memory"])
    children = int(environment_of(WORKERS[queue])["CONCURRENCY"])

    assert limit >= container_mib(children, child_mib(queue, Settings())) * BYTES["Mi"]


def test_the_gateway_has_the_memory_that_its_clients_may_take() -> None:
    limit = amount(container_of(named("production", "Deployment")["gateway"])["resources"]["limits"]["memory"])

    http = Settings().http

    assert limit >= (128 + 6 * http.max_uploads + 0.6 * http.max_downloads) * BYTES["Mi"]


@pytest.mark.parametrize("name", ["gateway", "frontend"])
def test_what_is_asked_over_http_is_forgotten_before_it_stops_and_has_time_to_finish(name: str) -> None:
    deployment = named("production", "Deployment")[name]
    pause = container_of(deployment)["lifecycle"]["preStop"]["sleep"]["seconds"]

    assert pause >= 5
    assert pod_of(deployment)["terminationGracePeriodSeconds"] >= pause + STOP_SECONDS[name] + 5
    assert int(COMPOSE[name]["stop_grace_period"].removesuffix("s")) >= STOP_SECONDS[name] + 5
    assert STOP_SECONDS["gateway"] + 5 <= SERVER_STOP_SECONDS
    assert STOP_SECONDS["frontend"] >= STOP_SECONDS["gateway"]


@pytest.mark.parametrize("name", ["gateway", "worker-resize"])
def test_the_small_overlay_keeps_blobs_on_one_shared_volume(name: str) -> None:
    deployment = named("small", "Deployment")[name]
    claim = named("small", "PersistentVolumeClaim")["blobs"]

    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    assert {"name": "blobs", "mountPath": "/var/lib/darkroom/blobs"} in container_of(deployment)["volumeMounts"]
    assert {"name": "blobs", "persistentVolumeClaim": {"claimName": "blobs"}} in pod_of(deployment)["volumes"]


def test_what_sends_webhooks_has_no_blobs() -> None:
    notify = named("small", "Deployment")["worker-notify"]

    assert {each["name"] for each in pod_of(notify)["volumes"]} == {"tmp"}


@pytest.mark.parametrize(
    ("secret", "readers"),
    [
        ("darkroom-webhooks", {"gateway", "worker-notify"}),
        ("darkroom-buckets", {"gateway", "worker-fetch"}),
        ("darkroom-access", {"gateway"}),
    ],
)
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_secret_reaches_those_who_use_it_alone(overlay: str, secret: str, readers: set[str]) -> None:
    found = {
        name: [each["secretRef"] for each in container_of(workload).get("envFrom", []) if "secretRef" in each]
        for name, workload in named(overlay, "Deployment").items()
    }

    assert {name for name, refs in found.items() if {"name": secret, "optional": True} in refs} == readers
    assert all(ref["name"] != secret for name in found.keys() - readers for ref in found[name])


def test_a_backup_reads_that_volume_and_a_restore_writes_it() -> None:
    mounts = {name: {each["name"]: each for each in container_of(job)["volumeMounts"]} for name, job in JOBS.items()}

    assert {name: each["blobs"]["mountPath"] for name, each in mounts.items()} == {
        "backup": "/var/lib/darkroom/blobs",
        "restore": "/var/lib/darkroom/blobs",
    }
    assert [name for name, each in mounts.items() if each["blobs"].get("readOnly")] == ["backup"]
    assert [name for name, each in mounts.items() if each["backups"].get("readOnly")] == ["restore"]


def test_a_backup_starts_every_night_and_a_restore_only_by_hand() -> None:
    assert JOBS["restore"]["spec"]["suspend"] is True
    assert "suspend" not in JOBS["backup"]["spec"]
    assert {each["spec"]["concurrencyPolicy"] for each in JOBS.values()} == {"Forbid"}


def test_redis_keeps_what_is_queued() -> None:
    command = container_of(named("small", "StatefulSet")["redis"])["command"][-1]

    assert "--appendonly yes" in command
    assert "--maxmemory-policy noeviction" in command


def test_the_users_of_the_stores_have_the_rights_of_those_of_docker_compose() -> None:
    redis = container_of(named("small", "StatefulSet")["redis"])
    composed = (ROOT / "deploy/compose/mongo/users.js").read_text(encoding="utf-8")

    assert re.findall(r"^user .*", redis["command"][-1], re.MULTILINE) == [
        f"user default on >$REDIS_PASSWORD {RIGHTS}",
        ACL.splitlines()[-1],
    ]
    assert named("small", "ConfigMap")["mongo-users"]["data"] == {"users.js": composed}


@pytest.mark.parametrize("store", ["redis", "mongo"])
def test_the_password_of_a_store_itself_is_in_its_own_pod_only(store: str) -> None:
    holders = {each["metadata"]["name"] for each in PODS if f"'darkroom-{store}'" in str(pod_of(each))}

    assert holders == {store}


def test_mongo_starts_with_a_secret_that_has_no_password_of_a_second_user() -> None:
    pod = pod_of(named("small", "StatefulSet")["mongo"])
    secret = next(volume["secret"] for volume in pod["volumes"] if volume["name"] == "darkroom-password")

    assert secret["optional"] is True
