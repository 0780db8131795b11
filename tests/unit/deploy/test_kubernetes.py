"""The manifests of deploy/kubernetes: rendered, and held to what Kubernetes and its operators take."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.generate.kubernetes_rules import TARGET, render_manifest
from tests.support.fast_yaml import load_all
from tests.support.kubectl import kubectl
from tests.support.kubernetes_schemas import check
from tests.support.kustomize import Manifest, render
from tests.support.prometheus_config import PROMETHEUS_FOLDER, ROOT, load_yaml

HERE = ROOT / "deploy" / "kubernetes"
FOLDERS = sorted(file.parent for file in HERE.rglob("kustomization.yaml"))
OVERLAYS = {folder.name: render(folder) for folder in FOLDERS if folder.parent.name == "overlays"}
EVERY = [each for manifests in OVERLAYS.values() for each in manifests]
OLDEST, NEWEST = "1.30", "1.37"
"""The first release that knows `preStop: sleep` without being asked to, and the last that there are schemas of."""


def name_of(each: object) -> str:
    return f"{each['kind']}-{each['metadata']['name']}" if isinstance(each, dict) else str(each)


def in_order(manifests: list[Manifest]) -> list[Manifest]:
    return sorted(manifests, key=lambda each: (each["apiVersion"], each["kind"], each["metadata"]["name"]))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.relative_to(HERE).as_posix())
def test_the_tests_see_what_kustomize_renders(folder: Path) -> None:
    printed = subprocess.run(
        [kubectl(), "kustomize", str(folder)], capture_output=True, text=True, check=True, timeout=60
    ).stdout

    assert in_order(render(folder)) == in_order(load_all(printed))


@pytest.mark.parametrize("release", [OLDEST, NEWEST])
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_cluster_takes_every_manifest(overlay: str, release: str) -> None:
    found = {name_of(each): check(each, release) for each in OVERLAYS[overlay]}

    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def test_a_field_that_no_release_knows_is_found() -> None:
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x"}, "spec": {"replica": 2}}
    scaled = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "spec": {"minReplicas": 2}}

    assert any("replica" in wrong for wrong in check(deployment, NEWEST))
    assert any("minReplicas" in wrong for wrong in check(scaled, NEWEST))


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_nothing_is_there_twice(overlay: str) -> None:
    names = [(each["kind"], each["metadata"]["name"]) for each in OVERLAYS[overlay]]

    assert len(names) == len(set(names))


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_everything_lives_in_one_namespace_that_lets_no_pod_do_much(overlay: str) -> None:
    found = {each["metadata"].get("namespace") for each in OVERLAYS[overlay] if each["kind"] != "Namespace"}
    namespace = next(each for each in OVERLAYS[overlay] if each["kind"] == "Namespace")["metadata"]

    assert found == {namespace["name"]} == {"darkroom"}
    assert namespace["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_gateway_serves_the_host_of_the_ingress(overlay: str) -> None:
    ingress = next(each for each in OVERLAYS[overlay] if each["kind"] == "Ingress")
    settings = next(each["data"] for each in OVERLAYS[overlay] if each["kind"] == "ConfigMap" and "data" in each)

    assert [rule["host"] for rule in ingress["spec"]["rules"]] == json.loads(settings["DARKROOM_HTTP__ALLOWED_HOSTS"])


def test_nothing_secret_is_in_the_tree() -> None:
    texts = [file.read_text(encoding="utf-8") for file in HERE.rglob("*.yaml")]

    assert not [each for each in EVERY if each["kind"] == "Secret"]
    assert not [text for text in texts if re.search(r"://[^/\s]+:[^/\s]+@", text)]


def test_every_secret_that_is_asked_for_is_in_the_readme() -> None:
    readme = (HERE / "README.md").read_text(encoding="utf-8")
    asked = set(secrets_in(EVERY))

    assert asked == {f"darkroom-{name}" for name in ("stores", "access", "flower", "redis", "mongo", "tls")}
    assert {name for name in asked if f"`{name}`" not in readme} == set()


def secrets_in(value: Any) -> Iterator[str]:
    """Yield the name of every Secret that something refers to."""
    if isinstance(value, list):
        for each in value:
            yield from secrets_in(each)
    elif isinstance(value, dict):
        for name, each in value.items():
            if name in {"secretRef", "secretKeyRef"} or (name in {"username", "password"} and isinstance(each, dict)):
                yield each["name"]
            elif name == "secretName":
                yield each
            else:
                yield from secrets_in(each)


def test_prometheus_rules_are_those_of_every_other_deployment() -> None:
    command = ".venv/bin/python -m deploy.generate.kubernetes_rules"

    assert TARGET.read_text(encoding="utf-8") == render_manifest(), f"run {command}"
    assert load_yaml(TARGET)["spec"] == load_yaml(PROMETHEUS_FOLDER / "rules.yml")


def test_targets_have_the_labels_that_the_rules_ask_for() -> None:
    monitors = [each for each in EVERY if each["kind"] in {"PodMonitor", "ServiceMonitor"}]
    endpoints = [
        endpoint
        for each in monitors
        for endpoint in each["spec"].get("podMetricsEndpoints") or each["spec"]["endpoints"]
    ]
    written = [step for endpoint in endpoints for step in endpoint["relabelings"]]

    assert {step["replacement"] for step in written if step["targetLabel"] == "job"} == {
        "gateway",
        "frontend",
        "workers",
        "flower",
    }
    assert [step["sourceLabels"] for step in written if step["targetLabel"] == "pool"] == [
        ["__meta_kubernetes_pod_label_darkroom_queue"]
    ]
