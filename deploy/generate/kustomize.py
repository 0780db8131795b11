"""Kustomize for the tests and the Helm chart: as much of it as deploy/kubernetes uses, without a program to start.

A test compares what is rendered here with kubectl's own answer.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # its types are another package

Manifest = dict[str, Any]

SUPPORTED_FIELDS = {
    *("apiVersion", "kind", "namespace", "resources", "components"),
    *("nameSuffix", "labels", "images", "patches"),
}
CLUSTER_SCOPED_KINDS = {"Namespace"}
POD_TEMPLATES = {  # where labels go with `includeTemplates`
    "Deployment": ("spec/template/metadata/labels",),
    "StatefulSet": ("spec/template/metadata/labels",),
    "CronJob": ("spec/jobTemplate/metadata/labels", "spec/jobTemplate/spec/template/metadata/labels"),
}
SELECTORS = {  # where kustomize puts labels with `includeSelectors`, of the kinds that are labelled so here
    "Deployment": ("spec/selector/matchLabels", "spec/template/metadata/labels"),
    "PodDisruptionBudget": ("spec/selector/matchLabels",),
}


def render(folder: Path, *components: Path) -> list[Manifest]:
    """Return what `kubectl kustomize FOLDER` prints, in no particular order; with more `components` than it names."""
    kustomization = yaml.load((folder / "kustomization.yaml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    if unknown := set(kustomization) - SUPPORTED_FIELDS:
        raise ValueError(f"{folder} uses more of kustomize than is rendered here: {unknown}")
    manifests = [manifest for name in kustomization.get("resources", []) for manifest in _resource(folder / name)]
    # A component may change what others bring. Here it changes only what it brings itself.
    for component in [*(folder / name for name in kustomization.get("components", [])), *components]:
        manifests += render(component)
    for change in kustomization.get("patches", []):
        _patch(manifests, change)
    for manifest in manifests:
        if "namespace" in kustomization and manifest["kind"] not in CLUSTER_SCOPED_KINDS:
            manifest["metadata"]["namespace"] = kustomization["namespace"]
        if "nameSuffix" in kustomization:
            manifest["metadata"]["name"] += kustomization["nameSuffix"]
        for label in kustomization.get("labels", []):
            _label(manifest, label)
        for image in kustomization.get("images", []):
            _set_image(manifest, image)
    return manifests


def _resource(path: Path) -> Iterator[Manifest]:
    if path.is_dir():
        yield from render(path)
    else:
        yield from yaml.load_all(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)


def _patch(manifests: list[Manifest], change: dict[str, Any]) -> None:
    kind, name = change["target"]["kind"], re.compile(change["target"]["name"])
    found = [each for each in manifests if each["kind"] == kind and name.fullmatch(each["metadata"]["name"])]
    if not found:
        raise ValueError(f"a patch changes nothing: there is no {kind} {name.pattern}")
    for manifest in found:
        for step in yaml.load(change["patch"], Loader=yaml.CSafeLoader):
            _apply_patch_operation(manifest, **step)


def _apply_patch_operation(manifest: Manifest, *, op: str, path: str, value: Any) -> None:
    """Do one step of a JSON patch (RFC 6902): `add` or `replace`."""
    *parents, last = path.strip("/").replace("~1", "/").split("/")
    place: Any = manifest
    for parent in parents:
        place = place[int(parent) if isinstance(place, list) else parent]
    value = copy.deepcopy(value)
    if isinstance(place, list):
        if op == "add":
            place.insert(len(place) if last == "-" else int(last), value)
        else:
            place[int(last)] = value
        return
    if op != "add" and last not in place:
        raise ValueError(f"{path} is not there to be replaced")
    place[last] = value


def _label(manifest: Manifest, label: dict[str, Any]) -> None:
    pairs, places = label["pairs"], ["metadata/labels"]
    if label.get("includeTemplates") and manifest["kind"] in POD_TEMPLATES:
        places += POD_TEMPLATES[manifest["kind"]]
        for claim in manifest["spec"].get("volumeClaimTemplates", []):
            claim["metadata"].setdefault("labels", {}).update(pairs)
    if label.get("includeSelectors"):
        places += SELECTORS.get(manifest["kind"], ())
        pod = manifest["spec"].get("template", {}).get("spec", {})
        for spread in pod.get("topologySpreadConstraints", []):
            spread["labelSelector"]["matchLabels"] |= pairs
    for path in places:
        place = manifest
        for name in path.split("/"):
            place = place.setdefault(name, {})
        place |= pairs


def _set_image(manifest: Manifest, image: dict[str, Any]) -> None:
    spec = manifest.get("spec", {})
    pod = spec.get("jobTemplate", {}).get("spec", spec).get("template", {}).get("spec", {})
    for container in pod.get("containers", []):
        if container["image"] == image["name"]:
            container["image"] = f"{image['newName']}:{image['newTag']}"
