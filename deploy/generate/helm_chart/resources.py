"""What the overlays have, with every component: side by side, and by what each belongs to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from deploy.generate.kustomize import Manifest, render

KUBERNETES = Path(__file__).resolve().parents[2] / "kubernetes"
NAMESPACE, HOST = "darkroom", "darkroom.example.com"
LEFT_OUT = {("Namespace", NAMESPACE), ("ServiceAccount", "default")}
"""Helm is told the namespace, and takes over nothing that a cluster makes by itself."""

CONDITIONS = {  # an overlay itself brings the volume of the blobs, or the ways to the stores outside
    "base": "",
    "stores": ".Values.stores.enabled",
    "autoscaling": ".Values.autoscaling.enabled",
    "monitoring": ".Values.monitoring.enabled",
    "components/gateway-api": ".Values.gatewayApi.enabled",
    "components/backup": ".Values.backup.enabled",
    "overlays/small": ".Values.blobs.enabled",
    "overlays/production": "not .Values.stores.enabled",
}
SMALL = ("overlays/small", "components/backup-small", "components/gateway-api")
PRODUCTION = ("overlays/production", "components/backup", "components/gateway-api")
PARTS = {
    "overlays/small": ("base", "stores", "components/backup", "components/gateway-api"),
    "overlays/production": ("base", "autoscaling", "monitoring", "components/backup", "components/gateway-api"),
}
Key = tuple[str, str]


@dataclass(kw_only=True)
class Resource:
    """One resource, as either overlay has it or both."""

    part: str
    kind: str
    name: str
    small: Manifest | None = None
    production: Manifest | None = None

    @property
    def any(self) -> Manifest:
        """The one of `small`, or else the other."""
        return self.small or self.production or {}

    @property
    def condition(self) -> str:
        """When the chart has it, as an expression; empty: always."""
        return ".Values.ingress.enabled" if self.kind == "Ingress" else CONDITIONS[self.part]

    @property
    def file(self) -> str:
        """The name of its template: one for each process of the base, one for each part."""
        if self.part != "base":
            return {"overlays/small": "blobs", "overlays/production": "external-stores"}.get(
                self.part, Path(self.part).name
            )
        if self.kind in {"NetworkPolicy", "Ingress"}:
            return {"NetworkPolicy": "network", "Ingress": "ingress"}[self.kind]
        if queue := self.any["metadata"].get("labels", {}).get("darkroom/queue"):
            return f"worker-{queue}"
        return {"darkroom-settings": "settings"}.get(self.name, self.name)


def read_overlays() -> list[Resource]:
    """Return all resources, in the order in which kustomize reads them."""
    found: dict[tuple[str, Key], Resource] = {}
    for overlay, *components in (SMALL, PRODUCTION):
        part_of = {key: part for part in PARTS[overlay] for key in _by_key(render(KUBERNETES / part))}
        for key, manifest in _by_key(render(KUBERNETES / overlay, *(KUBERNETES / each for each in components))).items():
            if key in LEFT_OUT:
                continue
            part = part_of.get(key, overlay)
            resource = found.setdefault((part, key), Resource(part=part, kind=key[0], name=key[1]))
            if overlay == "overlays/small":
                resource.small = manifest
            else:
                resource.production = manifest
    return list(found.values())


def _by_key(manifests: Iterable[Manifest]) -> dict[Key, Manifest]:
    return {(each["kind"], each["metadata"]["name"]): each for each in manifests}
