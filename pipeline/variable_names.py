"""The names of variables that begin with `DARKROOM_`: those of the settings, and all others that a process may see.

Docker Compose passes the whole `.env` to every container of Darkroom, so each process knows the names that only Compose
reads. A test compares the table with the files that use these names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from typing import get_origin

from pydantic import BaseModel
from pydantic_settings import BaseSettings

PREFIX = "DARKROOM_"
OTHER_NAMES = {
    "every process": {"DARKROOM_SECRETS_DIR", "DARKROOM_HEALTH", "DARKROOM_GIVEN_BLOB_URL"},
    "the image of the frontend": {
        "DARKROOM_BODY_BYTES",
        "DARKROOM_CONNECTIONS",
        "DARKROOM_GATEWAY",
        "DARKROOM_METRICS_LISTEN",
        "DARKROOM_TRUSTED_PROXIES",
    },
    "docker compose": {
        "DARKROOM_ALERTMANAGER_PORT",
        "DARKROOM_ALERTMANAGER_URL",
        "DARKROOM_BACKUP_FOLDER",
        "DARKROOM_BIND",
        "DARKROOM_FETCH_CONCURRENCY",
        "DARKROOM_FETCH_REPLICAS",
        "DARKROOM_FINALIZE_CONCURRENCY",
        "DARKROOM_FINALIZE_REPLICAS",
        "DARKROOM_FRONT_NET",
        "DARKROOM_GRAFANA_PORT",
        "DARKROOM_IMAGES",
        "DARKROOM_METRICS_BIND",
        "DARKROOM_NORMALIZE_CONCURRENCY",
        "DARKROOM_NORMALIZE_REPLICAS",
        "DARKROOM_NOTIFY_CONCURRENCY",
        "DARKROOM_NOTIFY_REPLICAS",
        "DARKROOM_OUTBOUND_MEMORY",
        "DARKROOM_PRESETS_FOLDER",
        "DARKROOM_PROMETHEUS_PORT",
        "DARKROOM_PROMETHEUS_URL",
        "DARKROOM_REDIS_CONTAINER_MEMORY",
        "DARKROOM_REDIS_MEMORY",
        "DARKROOM_RESIZE_CONCURRENCY",
        "DARKROOM_RESIZE_REPLICAS",
        "DARKROOM_REVISION",
        "DARKROOM_SERVER",
        "DARKROOM_SHARED_BLOBS",
        "DARKROOM_STORES_BIND",
        "DARKROOM_TAG",
        "DARKROOM_TOOLS_BIND",
        "DARKROOM_TRANSFORM_CONCURRENCY",
        "DARKROOM_TRANSFORM_REPLICAS",
        "DARKROOM_TRUSTED_PROXY",
        "DARKROOM_VALIDATE_CONCURRENCY",
        "DARKROOM_VALIDATE_REPLICAS",
        "DARKROOM_WORKER_CPUS",
        "DARKROOM_WORKER_MEMORY",
    },
    "./run up": {
        "DARKROOM_FRONT_FLOWER",
        "DARKROOM_FRONT_GATEWAY",
        "DARKROOM_FRONT_GRAFANA",
        "DARKROOM_HOME",
        "DARKROOM_MONGO_PORT",
        "DARKROOM_POOLS",
        "DARKROOM_PORT",
        "DARKROOM_REDIS_PORT",
        "DARKROOM_UI_PORT",
    },
    "the clients": {"DARKROOM_API_KEY", "DARKROOM_SIGNING_SECRET", "DARKROOM_URL"},
}
"""Names that are no settings, by who reads them."""


class KnownNames:
    """The names of some settings and all others."""

    def __init__(self, models: Iterable[type[BaseSettings]]) -> None:
        """Collect the names of these settings."""
        self.top_level: set[str] = set()
        self._names: set[str] = set().union(*OTHER_NAMES.values())
        self._open_prefixes: list[str] = []
        for model in models:
            self._add(model)

    def _add(self, model: type[BaseSettings]) -> None:
        for field_name, field in model.model_fields.items():
            name = f"{model.model_config['env_prefix']}{field_name}".upper()
            self.top_level.add(name)
            if get_origin(field.annotation) is dict and model.model_config.get("env_nested_delimiter"):
                self._open_prefixes.append(f"{name}__")
            self._names |= {name, *(f"{name}__{part}".upper() for part in _parts(field.annotation))}

    def __contains__(self, name: str) -> bool:
        """Whether the name is known, in whatever case: settings are read in any."""
        upper = name.upper()
        return upper in self._names or any(
            upper.startswith(prefix) and upper != prefix for prefix in self._open_prefixes
        )

    def suggest(self, name: str) -> str | None:
        """Return the known name that was probably meant."""
        part = name.upper().removeprefix(PREFIX)
        by_part = {known.removeprefix(PREFIX): known for known in sorted(self._names)}
        closest = get_close_matches(part, by_part, n=1, cutoff=0.8)
        same_end = [known for known in by_part if known.endswith(f"__{part}")]
        found = closest or same_end or get_close_matches(part, by_part, n=1, cutoff=0.6)
        return by_part[found[0]] if found else None


def _parts(annotation: object) -> Iterator[str]:
    if not isinstance(annotation, type):
        return
    if issubclass(annotation, BaseModel):
        yield from annotation.model_fields
    elif is_dataclass(annotation):
        yield from (field.name for field in fields(annotation))


def find_unknown_names(environment: Mapping[str, str], known: KnownNames) -> list[str]:
    """Return the variables that nothing reads, sorted. Those that are empty count as unset."""
    links = tuple(_service_link_prefixes(environment))
    return sorted(
        name
        for name, value in environment.items()
        if name.upper().startswith(PREFIX) and value and name not in known and not name.startswith(links)
    )


def _service_link_prefixes(environment: Mapping[str, str]) -> Iterator[str]:
    """Yield how the variables begin that Kubernetes sets in a pod for each service of its namespace.

    Of a service `darkroom-gateway`, these are DARKROOM_GATEWAY_SERVICE_HOST, DARKROOM_GATEWAY_PORT and others. Our
    manifests turn them off (`enableServiceLinks: false`).
    """
    for name in environment:
        service, end, rest = name.partition("_SERVICE_HOST")
        if end and not rest and f"{service}_SERVICE_PORT" in environment:
            yield from (f"{service}_SERVICE_", f"{service}_PORT_")
            if environment.get(f"{service}_PORT", "").startswith(("tcp://", "udp://", "sctp://")):
                yield f"{service}_PORT"
