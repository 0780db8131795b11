"""Whether the settings fit each other, and the variables that other programs read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address

from deploy.admin.check.compose_check import check_compose, parse_bytes
from deploy.admin.findings import Finding, error, warning
from deploy.generate.worker_memory import child_mib, container_mib, image_mib
from gateway.sizes import FORM_OVERHEAD_BYTES
from pipeline.outbound.allow_list import parse_allowed
from pipeline.routing import INNER_QUEUES, OUTBOUND_QUEUES
from pipeline.settings import Settings

SUBJECT = "settings"
CHILDREN = {"fetch": 2, "normalize": 2, "resize": 2, "notify": 2}
"""Processes of a worker in docker-compose.yml, unless `DARKROOM_<QUEUE>_CONCURRENCY` is set; 1 for the other queues."""
CONTAINER_MEMORY = {
    "DARKROOM_WORKER_MEMORY": INNER_QUEUES,
    "DARKROOM_OUTBOUND_MEMORY": OUTBOUND_QUEUES,
}
"""The memory of a worker of these queues, by the variable that sets it in docker-compose.yml."""
STOP_SECONDS = 40
"""When our deployments kill a process that was told to stop."""
LAST_ANSWER_SECONDS = 3
MIB = 1024 * 1024


def check_settings(settings: Settings, environment: Mapping[str, str]) -> Iterator[Finding]:
    """Yield what does not fit. What only Compose reads is checked where Compose passes it on."""
    yield from _check_sizes(settings, environment)
    yield from _check_image_memory(settings)
    for variable, queues in CONTAINER_MEMORY.items():
        yield from _check_container_memory(variable, queues, settings, environment)
    yield from _check_access(settings, environment)
    yield from _check_outbound(settings)
    yield from _check_times(settings)
    yield from check_compose(environment)


def _check_sizes(settings: Settings, environment: Mapping[str, str]) -> Iterator[Finding]:
    text = environment.get("DARKROOM_BODY_BYTES", "")
    needed = settings.limits.upload_bytes + FORM_OVERHEAD_BYTES
    if text and not text.isdecimal():
        yield error(SUBJECT, "DARKROOM_BODY_BYTES: should be a number of bytes", f"Set {needed}, or remove it.")
    elif text and int(text) < needed:
        yield error(
            SUBJECT,
            "DARKROOM_BODY_BYTES: nginx refuses files that DARKROOM_LIMITS__UPLOAD_BYTES allows",
            f"Set DARKROOM_BODY_BYTES={needed}, or lower DARKROOM_LIMITS__UPLOAD_BYTES.",
        )


def _check_image_memory(settings: Settings) -> Iterator[Finding]:
    allowed = settings.work.max_image_memory_mib
    largest = {queue: image_mib(queue, settings) for queue in INNER_QUEUES}
    queue = max(largest, key=largest.__getitem__)
    if allowed and allowed < largest[queue]:
        yield warning(
            SUBJECT,
            f"DARKROOM_WORK__MAX_IMAGE_MEMORY_MIB: {allowed} is too little for the largest image that "
            f"DARKROOM_LIMITS__* allow: {queue} needs {largest[queue]} MiB, and refuses it",
            f"Set {largest[queue]}, or lower DARKROOM_LIMITS__PIXELS or DARKROOM_LIMITS__ANIMATION_PIXELS.",
        )


def _check_container_memory(
    variable: str, queues: Sequence[str], settings: Settings, environment: Mapping[str, str]
) -> Iterator[Finding]:
    """Yield whether a container has less memory than the processes of one of its queues may take at once."""
    text = environment.get(variable, "")
    limit = parse_bytes(text)
    children = {queue: _count_children(queue, environment) for queue in queues}
    needed = {queue: container_mib(count, child_mib(queue, settings)) for queue, count in children.items()}
    queue = max(needed, key=needed.__getitem__)
    if text and limit is None:
        yield error(SUBJECT, f"{variable}: should be a size", "Write it as 2560m or 3g.")
    elif limit is not None and limit < needed[queue] * MIB:
        yield warning(
            SUBJECT,
            f"{variable}: {text} is less than the {children[queue]} processes of {queue} may use at once "
            f"({needed[queue]}m): then the kernel kills them",
            f"Set {needed[queue]}m, or {_describe_less(queue)}.",
        )


def _describe_less(queue: str) -> str:
    if queue in OUTBOUND_QUEUES:
        return f"lower DARKROOM_{queue.upper()}_CONCURRENCY"
    return "lower DARKROOM_WORK__MAX_IMAGE_MEMORY_MIB"


def _count_children(queue: str, environment: Mapping[str, str]) -> int:
    """Return the processes of a worker of this queue."""
    text = environment.get(f"DARKROOM_{queue.upper()}_CONCURRENCY", "")
    return int(text) if text.isdecimal() else CHILDREN.get(queue, 1)


def _check_access(settings: Settings, environment: Mapping[str, str]) -> Iterator[Finding]:
    if not settings.api_keys and _is_public(environment.get("DARKROOM_BIND", "")):
        yield warning(
            SUBJECT,
            "DARKROOM_BIND: other machines reach the API, and DARKROOM_API_KEYS is not set: everybody may upload, list "
            "and delete",
            "Set DARKROOM_API_KEYS; `./run key OWNER` or `darkroom-server key OWNER` creates a key.",
        )
    if _is_public(environment.get("DARKROOM_TOOLS_BIND", "")):
        yield warning(
            SUBJECT,
            "DARKROOM_TOOLS_BIND: other machines reach Prometheus, which has no password",
            "Set 127.0.0.1, and use an SSH tunnel.",
        )
    if any(network.prefixlen == 0 for network in settings.http.trusted_proxies):
        yield warning(
            SUBJECT,
            "DARKROOM_HTTP__TRUSTED_PROXIES: it trusts everybody, so that clients choose the address that limits count",
            "Name the addresses of your proxies only.",
        )


def _check_outbound(settings: Settings) -> Iterator[Finding]:
    places = [parse_allowed(entry).place for entry in settings.outbound.allow]
    if any(not isinstance(place, str) and place.prefixlen == 0 for place in places):
        yield warning(
            SUBJECT,
            "DARKROOM_OUTBOUND__ALLOW: it allows every address, so that whoever uploads reaches your own network",
            "Name only the hosts and networks that webhooks and imports need.",
        )
    if settings.webhooks.fixed and not settings.webhooks.public_url:
        yield warning(
            SUBJECT,
            "DARKROOM_WEBHOOKS__PUBLIC_URL: it is empty, so links in webhooks have no host",
            "Set the address of the gateway for those who receive them, such as https://photos.example.",
        )


def _is_public(address: str) -> bool:
    try:
        return not ip_address(address).is_loopback
    except ValueError:
        return bool(address) and address != "localhost"


def _check_times(settings: Settings) -> Iterator[Finding]:
    http, work = settings.http, settings.work
    if http.receive_timeout > settings.receive_seconds:
        yield warning(
            SUBJECT,
            f"DARKROOM_HTTP__RECEIVE_TIMEOUT: a body is cut off after {settings.receive_seconds:g} s, which is half of "
            "DARKROOM_SWEEPER__ORPHAN_GRACE",
            f"Set DARKROOM_SWEEPER__ORPHAN_GRACE={2 * http.receive_timeout:g}.",
        )
    if http.shutdown_timeout + LAST_ANSWER_SECONDS > STOP_SECONDS:
        yield warning(
            SUBJECT,
            f"DARKROOM_HTTP__SHUTDOWN_TIMEOUT: our deployments kill a stopping gateway after {STOP_SECONDS} s",
            f"Set at most {STOP_SECONDS - LAST_ANSWER_SECONDS}, or raise the grace period of the container.",
        )
    if work.soft_shutdown_timeout >= STOP_SECONDS:
        yield warning(
            SUBJECT,
            f"DARKROOM_WORK__SOFT_SHUTDOWN_TIMEOUT: our deployments kill a stopping worker after "
            f"{STOP_SECONDS} s, before it returns its messages",
            f"Set less than {STOP_SECONDS}, or raise the grace period of the container.",
        )
