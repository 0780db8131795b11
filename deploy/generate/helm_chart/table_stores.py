"""The part of the table that is about the stores, backups and all pods; see table.py."""

from __future__ import annotations

from collections.abc import Iterator

from deploy.generate.helm_chart.pointers import POD
from deploy.generate.helm_chart.values import Place, Value

CONTAINER = "/spec/template/spec/containers/0"
JOB_CONTAINER = "/spec/jobTemplate/spec/template/spec/containers/0"


def place(kind: str, name: str, pointer: str, part: str = ".*") -> Place:
    """Return one place."""
    return Place(kind=kind, name=name, pointer=pointer, part=part)


def _optional(key: str, path: str) -> str:
    """Return lines for a key that is left out while its value is empty."""
    return f"{{{{- with .Values.{path} }}}}\n{key}: {{{{- toYaml . | nindent INDENT }}}}\n{{{{- end }}}}"


def resources(name: str, path: str = "", kind: str = "Deployment") -> Value:
    """Return the resources of a container."""
    return Value(
        path=path or f"{name}.resources",
        comment="Requests and limits of a pod.",
        places=[place(kind, name, f"{CONTAINER}/resources")],
    )


def stores() -> Iterator[Value]:
    """Yield what is about Redis, MongoDB and blobs."""
    yield Value(
        path="stores.enabled",
        comment="Redis and MongoDB inside the cluster, one pod each. Without them, Secret `stores` names yours.",
        default=True,
        production=False,
    )
    for name in ("redis", "mongo"):
        yield Value(
            path=f"stores.{name}.image",
            comment="Its image.",
            places=[place("StatefulSet", name, f"{CONTAINER}/image")],
        )
        yield resources(name, f"stores.{name}.resources", "StatefulSet")
        yield from _storage(f"stores.{name}", place("StatefulSet", name, "/spec/volumeClaimTemplates/0/spec"))
    yield Value(
        path="externalStores.redis",
        comment="Without `stores`: where Redis is, as peers of a NetworkPolicy. Narrow them.",
        places=[place("NetworkPolicy", "to-redis", "/spec/egress/0/to", "overlays/production")],
    )
    yield Value(
        path="externalStores.mongoAndBucket",
        comment="Without `stores`: where MongoDB and the bucket are.",
        places=[place("NetworkPolicy", "to-mongo-and-bucket", "/spec/egress/0/to")],
    )
    yield Value(
        path="blobs.enabled",
        comment="A volume for the blobs, shared by all. Without it, DARKROOM_BLOB_URL in Secret `stores` has a bucket.",
        default=True,
        production=False,
    )
    yield Value(
        path="blobs.accessModes",
        comment="ReadWriteOnce will do for a cluster of one node.",
        places=[place("PersistentVolumeClaim", "blobs", "/spec/accessModes")],
    )
    yield from _storage("blobs", place("PersistentVolumeClaim", "blobs", "/spec"))


def _storage(path: str, spec: Place) -> Iterator[Value]:
    yield Value(
        path=f"{path}.size",
        comment="Of its volume.",
        places=[place(spec.kind, spec.name, f"{spec.pointer}/resources/requests/storage")],
    )
    yield Value(
        path=f"{path}.storageClass",
        comment="Of its volume. Empty: the cluster's own choice.",
        places=[spec],
        lines=f"{{{{- with .Values.{path}.storageClass }}}}\nstorageClassName: {{{{ . | quote }}}}\n{{{{- end }}}}",
        default="",
    )


def backup() -> Iterator[Value]:
    """Yield what is about backups."""
    yield Value(path="backup.enabled", comment="A backup of documents and blobs, on a volume.", default=False)
    yield Value(
        path="backup.schedule",
        comment="When, in UTC.",
        places=[place("CronJob", "backup", "/spec/schedule")],
    )
    yield Value(
        path="backup.keep",
        comment="How many are kept.",
        places=[place("CronJob", "backup", f"{JOB_CONTAINER}/env/DARKROOM_BACKUP__KEEP_DAILY/value")],
        types=("integer", "string"),
    )
    yield Value(
        path="backup.resources",
        comment="Requests and limits of its pod, and of that of a restore.",
        places=[place("CronJob", "backup|restore", f"{JOB_CONTAINER}/resources")],
    )
    yield from _storage("backup", place("PersistentVolumeClaim", "backups", "/spec"))


def pods() -> Iterator[Value]:
    """Yield what is about every pod."""
    for name, comment, default in (
        ("imagePullSecrets", "Of every pod: the Secrets of a private registry, such as [{name: registry}].", []),
        ("nodeSelector", "Of every pod: the labels of its nodes.", {}),
        ("tolerations", "Of every pod: the taints of nodes that it may run on.", []),
    ):
        yield Value(
            path=name,
            comment=comment,
            places=[place(kind, ".*", pointer) for kind, pointer in POD.items()],
            lines=_optional(name, name),
            default=default,
        )
