"""The manifests of deploy/kubernetes: rendered, and held to what Kubernetes and its operators take."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.generate.kubernetes_rules import CONSOLE, RUNBOOK, TARGET, render_manifest
from deploy.generate.kustomize import Manifest, render
from pipeline.settings import Settings
from tests.support.fast_yaml import load_all
from tests.support.kubectl import kubectl
from tests.support.kubernetes_schemas import check
from tests.support.prometheus_config import PROMETHEUS_FOLDER, ROOT, load_yaml

HERE = ROOT / "deploy" / "kubernetes"
FOLDERS = sorted(file.parent for file in HERE.rglob("kustomization.yaml"))
OVERLAYS = {folder.name: render(folder) for folder in FOLDERS if folder.parent.name == "overlays"}
COMPONENTS = {
    "small": [HERE / "components" / name for name in ("gateway-api", "backup-small")],
    "production": [HERE / "components" / name for name in ("gateway-api", "backup")],
}
COMPLETE = {name: render(HERE / "overlays" / name, *components) for name, components in COMPONENTS.items()}
EVERY = [each for manifests in COMPLETE.values() for each in manifests]
SECRETS = ("stores", "access", "webhooks", "buckets", "flower", "redis", "mongo", "tls")
OLDEST, NEWEST = "1.30", "1.37"
"""The first release that knows `preStop: sleep` without being asked to, and the last that there are schemas of."""


def name_of(each: object) -> str:
    return f"{each['kind']}-{each['metadata']['name']}" if isinstance(each, dict) else str(each)


def in_order(manifests: list[Manifest]) -> list[Manifest]:
    return sorted(manifests, key=lambda each: (each["apiVersion"], each["kind"], each["metadata"]["name"]))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.relative_to(HERE).as_posix())
def test_the_tests_see_what_kustomize_renders(folder: Path) -> None:
    assert in_order(render(folder)) == in_order(kustomize(folder))


@pytest.mark.parametrize("overlay", COMPONENTS)
def test_the_tests_see_what_kustomize_renders_with_every_component(overlay: str, tmp_path: Path) -> None:
    shutil.copytree(HERE, tmp_path, dirs_exist_ok=True)
    file = tmp_path / "overlays" / overlay / "kustomization.yaml"
    components = "".join(f"\n  - ../../components/{path.name}" for path in COMPONENTS[overlay])
    file.write_text(f"{file.read_text(encoding='utf-8')}components:{components}\n", encoding="utf-8")

    assert in_order(render(file.parent)) == in_order(kustomize(file.parent)) == in_order(COMPLETE[overlay])


def kustomize(folder: Path) -> list[Manifest]:
    command = [kubectl(), "kustomize", str(folder)]
    return load_all(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout)


@pytest.mark.parametrize("release", [OLDEST, NEWEST])
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_cluster_takes_every_manifest(overlay: str, release: str) -> None:
    found = {name_of(each): check(each, release) for each in COMPLETE[overlay]}

    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def test_a_field_that_no_release_knows_is_found() -> None:
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x"}, "spec": {"replica": 2}}
    scaled = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "spec": {"minReplicas": 2}}

    assert any("replica" in wrong for wrong in check(deployment, NEWEST))
    assert any("minReplicas" in wrong for wrong in check(scaled, NEWEST))


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_nothing_is_there_twice(overlay: str) -> None:
    names = [(each["kind"], each["metadata"]["name"]) for each in COMPLETE[overlay]]

    assert len(names) == len(set(names))


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_everything_lives_in_one_namespace_that_lets_no_pod_do_much(overlay: str) -> None:
    found = {each["metadata"].get("namespace") for each in COMPLETE[overlay] if each["kind"] != "Namespace"}
    namespace = next(each for each in COMPLETE[overlay] if each["kind"] == "Namespace")["metadata"]

    assert found == {namespace["name"]} == {"darkroom"}
    assert namespace["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_gateway_serves_the_host_of_the_ingress_and_of_the_route(overlay: str) -> None:
    ingress, route = (
        next(each["spec"] for each in COMPLETE[overlay] if each["kind"] == kind) for kind in ("Ingress", "HTTPRoute")
    )
    settings = next(each["data"] for each in COMPLETE[overlay] if each["metadata"]["name"] == "darkroom-settings")
    hosts = json.loads(settings["DARKROOM_HTTP__ALLOWED_HOSTS"])

    assert [rule["host"] for rule in ingress["rules"]] == route["hostnames"] == hosts


def test_the_way_in_takes_the_largest_upload_and_holds_no_event_back() -> None:
    largest = Settings().limits.upload_bytes + 64 * 1024

    for manifests in OVERLAYS.values():
        said = next(each["metadata"]["annotations"] for each in manifests if each["kind"] == "Ingress")
        assert said["nginx.ingress.kubernetes.io/proxy-body-size"] == said["nginx.org/client-max-body-size"]
        assert int(said["nginx.org/client-max-body-size"]) == largest
        assert said["nginx.ingress.kubernetes.io/proxy-buffering"] == "off"
        assert said["nginx.org/proxy-buffering"] == "False"


@pytest.mark.parametrize("overlay", COMPLETE)
def test_no_gateway_cuts_off_an_event_stream(overlay: str) -> None:
    (rule,) = next(each["spec"]["rules"] for each in COMPLETE[overlay] if each["kind"] == "HTTPRoute")

    assert rule["timeouts"] == {"request": "0s", "backendRequest": "0s"}
    assert rule["backendRefs"] == [{"name": "frontend", "port": 8000}]


def test_nothing_secret_is_in_the_tree() -> None:
    texts = [file.read_text(encoding="utf-8") for file in HERE.rglob("*.yaml")]

    assert not [each for each in EVERY if each["kind"] == "Secret"]
    assert not [text for text in texts if re.search(r"://[^/\s]+:(?!%s@)[^/\s]+@", text)]


def test_every_secret_that_is_asked_for_is_in_the_readme() -> None:
    readme = (HERE / "README.md").read_text(encoding="utf-8")
    asked = set(secrets_in(EVERY))

    assert asked == {f"darkroom-{name}" for name in SECRETS}
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
    written, rules = (json.dumps(load_yaml(file)) for file in (TARGET, PROMETHEUS_FOLDER / "rules.yml"))
    assert json.loads(written)["spec"] == json.loads(rules.replace(CONSOLE, RUNBOOK))


def test_alerts_lead_to_the_host_of_the_ingress() -> None:
    (host,) = {each["spec"]["rules"][0]["host"] for each in EVERY if each["kind"] == "Ingress"}

    assert f"https://{host}/runbook" == RUNBOOK


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
