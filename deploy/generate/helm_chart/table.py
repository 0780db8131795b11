"""What a user of the chart may set, and where it goes in the manifests."""

from __future__ import annotations

from collections.abc import Iterator

from deploy.generate.helm_chart.table_stores import CONTAINER, backup, place, pods, resources, stores
from deploy.generate.helm_chart.values import Value
from pipeline.routing import OUTBOUND_QUEUES, QUEUES

ALLOWED_HOSTS = "DARKROOM_HTTP__ALLOWED_HOSTS"
TRIGGER_ADDRESSES = [f"/spec/triggers/{number}/metadata/serverAddress" for number in (0, 1)]

PROCESSES_WITH_IMAGES = "Processes in a pod. Each may take the memory of an image."
SECRETS = {
    "stores": "The Secret with the addresses of the stores; README.md has its keys, and those of the others.",
    "access": "With the hashes of the API keys. Without it, requests need no key.",
    "webhooks": "With the webhooks of the settings. Optional.",
    "buckets": "With the buckets that jobs are made of, and those that results are put into. Optional.",
    "flower": "With the user and password of Flower.",
    "redis": "With the password of Redis inside.",
    "mongo": "With the passwords of MongoDB inside.",
}


def table() -> list[Value]:
    """Return all values in the order of values.yaml."""
    return [*_access(), *_processes(), *_scaling(), *stores(), *backup(), *pods()]


def _access() -> Iterator[Value]:
    yield Value(path="image.repository", comment="Of the gateway, the workers, Flower and backups.")
    yield Value(path="image.frontendRepository", comment="Of nginx with the page.")
    yield Value(path="image.tag", comment="Of both. To roll back, set the previous one.")
    yield Value(
        path="host",
        comment="The name that clients use: of the Ingress, of the route and of DARKROOM_HTTP__ALLOWED_HOSTS.",
    )
    yield Value(path="ingress.enabled", comment="A way in by an ingress controller.", default=True)
    yield Value(
        path="ingress.className",
        comment="The class of the controller. Empty: the cluster's own choice.",
        places=[place("Ingress", "darkroom", "/spec")],
        lines="{{- with .Values.ingress.className }}\ningressClassName: {{ . | quote }}\n{{- end }}",
        default="",
    )
    yield Value(
        path="ingress.tlsSecret",
        comment="The Secret with the certificate of the host. Empty: no TLS.",
        places=[place("Ingress", "darkroom", "/spec")],
        lines=(
            "{{- with .Values.ingress.tlsSecret }}\ntls:\n- hosts:\n  - {{ $.Values.host | quote }}\n"
            "  secretName: {{ . | quote }}\n{{- end }}"
        ),
        default="",
        production="darkroom-tls",
    )
    yield Value(
        path="ingress.annotations",
        comment="For ingress-nginx and for NGINX's own controller; others pass over them.",
        places=[place("Ingress", "darkroom", "/metadata/annotations")],
    )
    yield Value(
        path="gatewayApi.enabled",
        comment="A way in by a Gateway of the Gateway API, beside the Ingress.",
        default=False,
    )
    yield Value(
        path="gatewayApi.parentRefs",
        comment="Your Gateway.",
        places=[place("HTTPRoute", "darkroom", "/spec/parentRefs")],
    )
    yield Value(
        path="trustedProxies",
        comment="The addresses of the ingress controller's and the frontend's pods: whose X-Forwarded-For is believed.",
        places=[
            place("Deployment", "gateway", f"{CONTAINER}/env/DARKROOM_HTTP__TRUSTED_PROXIES/value"),
            place("Deployment", "frontend", f"{CONTAINER}/env/DARKROOM_TRUSTED_PROXIES/value"),
        ],
    )
    yield Value(path="clusterDomain", comment="The domain of the cluster's Services.", default="cluster.local")
    yield Value(
        path="settings",
        comment="DARKROOM_* of every process; see deploy/docs/CONFIGURATION.md. Nothing secret belongs here.",
        places=[place("ConfigMap", "darkroom-settings", "/data")],
        expression=f'(merge (deepCopy .Values.settings) (dict "{ALLOWED_HOSTS}" (list .Values.host | toJson)))',
    )
    yield Value(
        path="secrets.generate",
        comment="Make the Secrets of the stores and of Flower at the first install, with random passwords.\n"
        "Not with tools that only render templates, such as Argo CD: they would make others each time.",
        default=False,
    )
    for name, comment in SECRETS.items():
        yield Value(path=f"secrets.{name}", comment=comment, default=f"darkroom-{name}")


def _processes() -> Iterator[Value]:
    yield Value(
        path="gateway.minReplicas",
        comment="The gateway is scaled by its CPU time.",
        places=[place("HorizontalPodAutoscaler", "gateway", "/spec/minReplicas")],
    )
    yield Value(
        path="gateway.maxReplicas",
        comment="At most.",
        places=[place("HorizontalPodAutoscaler", "gateway", "/spec/maxReplicas")],
    )
    yield resources("gateway")
    yield Value(
        path="frontend.replicas", comment="Of nginx.", places=[place("Deployment", "frontend", "/spec/replicas")]
    )
    yield resources("frontend")
    yield resources("flower")
    for queue in QUEUES:
        path, name = f"workers.{queue}", f"worker-{queue}"
        yield Value(
            path=f"{path}.replicas",
            comment="Pods, without autoscaling. Empty: as many as there are, one at first.",
            places=[place("Deployment", name, "/spec")],
            lines=(
                f'{{{{- if not (or (kindIs "invalid" .Values.{path}.replicas) .Values.autoscaling.enabled) }}}}\n'
                f"replicas: {{{{ .Values.{path}.replicas | int }}}}\n{{{{- end }}}}"
            ),
            types=("integer", "null"),
        )
        for end in ("min", "max"):
            yield Value(
                path=f"{path}.{end}Replicas",
                comment=f"At {'least' if end == 'min' else 'most'}, with autoscaling.",
                places=[place("ScaledObject", name, f"/spec/{end}ReplicaCount")],
            )
        yield Value(
            path=f"{path}.concurrency",
            comment="Processes in a pod." if queue in OUTBOUND_QUEUES else PROCESSES_WITH_IMAGES,
            places=[place("Deployment", name, f"{CONTAINER}/env/CONCURRENCY/value")],
            types=("integer", "string"),
        )
        yield resources(name, f"{path}.resources")
    yield Value(
        path="outbound.to",
        comment="Where webhooks, imports and exports may go, as peers of a NetworkPolicy. Add what is inside and\n"
        "DARKROOM_OUTBOUND__ALLOW names, and a bucket or a proxy inside.",
        places=[place("NetworkPolicy", "outbound", "/spec/egress/0/to")],
    )
    yield Value(
        path="outbound.ports",
        comment="The ports of DARKROOM_OUTBOUND__PORTS.",
        places=[place("NetworkPolicy", "outbound", "/spec/egress/0/ports")],
    )


def _scaling() -> Iterator[Value]:
    yield Value(
        path="autoscaling.enabled",
        comment="Pools that grow with their queues. Wants KEDA, and what `monitoring` brings.",
        default=False,
        production=True,
    )
    yield Value(
        path="autoscaling.prometheus",
        comment="The address of Prometheus.",
        places=[place("ScaledObject", "worker-.*", pointer) for pointer in TRIGGER_ADDRESSES],
    )
    yield Value(
        path="monitoring.enabled",
        comment="Monitors and alert rules. Wants the Prometheus operator.",
        default=False,
        production=True,
    )
    yield Value(
        path="monitoring.labels",
        comment="The labels by which your Prometheus selects monitors and rules.",
        places=[place("PodMonitor|ServiceMonitor|PrometheusRule", ".*", "/metadata/labels")],
        lines="{{- with .Values.monitoring.labels }}\n{{- toYaml . | nindent 4 }}\n{{- end }}",
        default={},
    )
