"""The schemas of Kubernetes' own kinds, as a package on PyPI has them; of others, as much as deploy/kubernetes uses.

The package, kubernetes-validate, holds thirteen releases of Kubernetes in 100 MB of files: its wheel is fetched once,
known by its hash, and read where it lies, instead of being installed with everything else.
"""

from __future__ import annotations

import json
from functools import cache
from io import BytesIO
from typing import Any
from zipfile import ZipFile

import jsonschema_rs

from tests.support.pypi_wheels import fetch

PACKAGE, WHEEL = "kubernetes-validate==1.37.0", "kubernetes_validate-1.37.0-py3-none-any.whl"
SHA256 = "85136d018a27b50ec7fc049d902bfa5193f5976807e6c0f408e3ab6fe078cad9"
BASE, DEFINITIONS_FILE = "schemas:///", "_definitions.json"

TEXT, NUMBER, FLAG = {"type": "string"}, {"type": "integer", "minimum": 0}, {"type": "boolean"}
SECONDS = {"type": "string", "pattern": r"^\d+s$"}


def _closed(required: str = "", **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "required": required.split(),
        "properties": properties,
        "additionalProperties": False,
    }


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": 1}


SECRET_KEY = _closed("name key", name=TEXT, key=TEXT)
SELECTOR = _closed("matchLabels", matchLabels={"type": "object"})
ENDPOINT = _closed(
    "port",
    port=TEXT,
    path=TEXT,
    interval=SECONDS,
    scrapeTimeout=SECONDS,
    basicAuth=_closed("username password", username=SECRET_KEY, password=SECRET_KEY),
    relabelings=_list(_closed("targetLabel", targetLabel=TEXT, replacement=TEXT, sourceLabels=_list(TEXT))),
)
TRIGGER = _closed(
    "type name metricType metadata",
    type={"const": "prometheus"},
    name=TEXT,
    metricType={"enum": ["AverageValue", "Value"]},
    metadata=_closed(
        "serverAddress query threshold",
        serverAddress=TEXT,
        query=TEXT,
        threshold=TEXT,
        ignoreNullValues={"enum": ["true", "false"]},
    ),
)
RULE = _closed(
    "expr",
    record=TEXT,
    alert=TEXT,
    expr=TEXT,
    labels={"type": "object"},
    annotations={"type": "object"},
    **{"for": TEXT},
)
# Closed: a field that is not named here is a mistake, or is to be looked up in the definitions of KEDA (2.17 on), the
# Prometheus operator (0.80 on) or the Gateway API (1.2 on), from which these are taken.
SPECS = {
    ("keda.sh/v1alpha1", "ScaledObject"): _closed(
        "scaleTargetRef triggers",
        scaleTargetRef=_closed("name", name=TEXT),
        pollingInterval=NUMBER,
        minReplicaCount=NUMBER,
        maxReplicaCount=NUMBER,
        fallback=_closed(
            "failureThreshold replicas",
            failureThreshold=NUMBER,
            replicas=NUMBER,
            behavior={
                "enum": ["static", "currentReplicas", "currentReplicasIfHigher", "currentReplicasIfLower"],
            },
        ),
        advanced=_closed(horizontalPodAutoscalerConfig=_closed(behavior={"type": "object"})),
        triggers=_list(TRIGGER),
    ),
    ("gateway.networking.k8s.io/v1", "HTTPRoute"): _closed(
        "parentRefs rules",
        parentRefs=_list(_closed("name", name=TEXT, namespace=TEXT, sectionName=TEXT)),
        hostnames=_list(TEXT),
        rules=_list(
            _closed(
                "backendRefs",
                matches=_list(
                    _closed(path=_closed("value", type={"enum": ["Exact", "PathPrefix"]}, value={"pattern": "^/"}))
                ),
                timeouts=_closed(request=SECONDS, backendRequest=SECONDS),
                backendRefs=_list(_closed("name port", name=TEXT, port=NUMBER)),
            )
        ),
    ),
    ("monitoring.coreos.com/v1", "PodMonitor"): _closed(
        "selector podMetricsEndpoints", selector=SELECTOR, podMetricsEndpoints=_list(ENDPOINT)
    ),
    ("monitoring.coreos.com/v1", "ServiceMonitor"): _closed(
        "selector endpoints", selector=SELECTOR, endpoints=_list(ENDPOINT)
    ),
    ("monitoring.coreos.com/v1", "PrometheusRule"): _closed(
        "groups", groups=_list(_closed("name rules", name=TEXT, rules=_list(RULE)))
    ),
}


def check(manifest: dict[str, Any], release: str) -> list[str]:
    """Return what a release of Kubernetes ("1.37"), or an operator, would find wrong with a manifest."""
    spec = SPECS.get((manifest["apiVersion"], manifest["kind"]))
    if spec is None:
        found = _of_kubernetes(release, manifest["apiVersion"], manifest["kind"]).iter_errors(manifest)
    else:
        found = jsonschema_rs.validator_for(spec).iter_errors(manifest["spec"])
    return [f"{'/'.join(map(str, error.instance_path))}: {error.message}" for error in found]


@cache
def _of_kubernetes(release: str, version: str, kind: str) -> Any:
    group, _, name = version.rpartition("/")
    file = "-".join(part for part in (kind.lower(), group.split(".")[0], name) if part) + ".json"
    schema = {"$id": BASE + file, **_read(release, file)}
    return jsonschema_rs.validator_for(schema, registry=_definitions(release))


@cache
def _definitions(release: str) -> jsonschema_rs.Registry:
    return jsonschema_rs.Registry([(BASE + DEFINITIONS_FILE, _read(release, DEFINITIONS_FILE))])


def _read(release: str, file: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(
        _opened_wheel().read(f"kubernetes_validate/kubernetes-json-schema/v{release}.0-local-strict/{file}")
    )
    return schema


@cache
def _opened_wheel() -> ZipFile:
    """Return the wheel, opened once for all: its list of files is long. The file is closed: it is read into memory."""
    return ZipFile(BytesIO(fetch(PACKAGE, WHEEL, SHA256).read_bytes()))
