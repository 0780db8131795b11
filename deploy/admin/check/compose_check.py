"""Values that only Compose passes on, to programs that would end with them after the old containers are gone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from pydantic import ValidationError

from deploy.admin.findings import Finding, error, warning
from pipeline.http_settings import HttpSettings
from pipeline.routing import QUEUES

SUBJECT = "settings"
COUNTS = ("DARKROOM_CONNECTIONS", *(f"DARKROOM_{queue.upper()}_CONCURRENCY" for queue in QUEUES))
REDIS_MEMORY, REDIS_CONTAINER = "DARKROOM_REDIS_MEMORY", "DARKROOM_REDIS_CONTAINER_MEMORY"
REDIS_DEFAULTS = {REDIS_MEMORY: "384mb", REDIS_CONTAINER: "768m"}
MIB = 1024**2
UNITS = {"": 1, "b": 1, "k": 1024, "m": MIB, "g": 1024 * MIB}
REDIS_SIZE = re.compile(r"\d+([kmg]b?|b)?", re.IGNORECASE)


def check_compose(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Yield what a container would not start with."""
    for name in COUNTS:
        text = environment.get(name, "")
        if text and not (text.isdecimal() and int(text)):
            yield error(SUBJECT, f"{name}: should be a number, 1 or more", "Correct or remove it.")
    yield from _check_proxies(environment.get("DARKROOM_TRUSTED_PROXY", ""))
    yield from _check_redis(environment)


def parse_bytes(text: str) -> int | None:
    """Return the bytes of a size as Docker writes it, such as `2560m`; None if it is no size."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmg]?)i?b?", text.strip().lower())
    return int(float(match[1]) * UNITS[match[2]]) if match else None


def _check_proxies(text: str) -> Iterator[Finding]:
    try:
        HttpSettings.model_validate({"trusted_proxies": [text]})
    except ValidationError:
        yield error(
            SUBJECT,
            "DARKROOM_TRUSTED_PROXY: should be addresses or networks, separated by commas",
            "Write it as 10.213.77.1 or 10.0.0.0/24.",
        )


def _check_redis(environment: Mapping[str, str]) -> Iterator[Finding]:
    given = {name: environment.get(name) or default for name, default in REDIS_DEFAULTS.items()}
    if not REDIS_SIZE.fullmatch(given[REDIS_MEMORY]):
        yield error(SUBJECT, f"{REDIS_MEMORY}: should be a size", "Write it as 384mb or 1gb.")
        return
    memory, container = (parse_bytes(text) for text in given.values())
    if memory and container and container < 2 * memory:
        yield warning(
            SUBJECT,
            f"{REDIS_CONTAINER}: {given[REDIS_CONTAINER]} is less than twice {REDIS_MEMORY} ({given[REDIS_MEMORY]}): "
            "the kernel may kill Redis while it rewrites its file",
            f"Set {2 * memory // MIB}m.",
        )
