"""Whether the settings fit each other, and the variables that other programs read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address

from deploy.admin.check.compose_check import check_compose, parse_bytes
from deploy.admin.findings import Finding, error, warning
from deploy.generate.worker_memory import container_mib, image_mib
from gateway.sizes import FORM_OVERHEAD_BYTES
from pipeline.routing import QUEUES
from pipeline.settings import Settings

SUBJECT = "settings"
CHILDREN = {"normalize": 2, "resize": 2}
"""Processes of a worker in docker-compose.yml, unless `DARKROOM_<QUEUE>_CONCURRENCY` is set; 1 for the other queues."""
STOP_SECONDS = 40
"""When our deployments kill a process that was told to stop."""
LAST_ANSWER_SECONDS = 3
MIB = 1024 * 1024


def check_settings(settings: Settings, environment: Mapping[str, str]) -> Iterator[Finding]:
    """Yield what does not fit. What only Compose reads is checked where Compose passes it on."""
    yield from _check_sizes(settings, environment)
    yield from _check_memory(settings, environment.get("DARKROOM_WORKER_MEMORY", ""), _most_children(environment))
    yield from _check_access(settings, environment)
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


def _check_memory(settings: Settings, text: str, children: int) -> Iterator[Finding]:
    allowed = settings.work.max_image_memory_mib
    largest = {queue: image_mib(queue, settings) for queue in QUEUES}
    needed = max(largest.values())
    if allowed and allowed < needed:
        queue = max(largest, key=largest.__getitem__)
        yield warning(
            SUBJECT,
            f"DARKROOM_WORK__MAX_IMAGE_MEMORY_MIB: {allowed} is too little for the largest image that "
            f"DARKROOM_LIMITS__* allow: {queue} needs {needed} MiB, and refuses it",
            f"Set {needed}, or lower DARKROOM_LIMITS__PIXELS or DARKROOM_LIMITS__ANIMATION_PIXELS.",
        )
    limit = parse_bytes(text)
    if text and limit is None:
        yield error(SUBJECT, "DARKROOM_WORKER_MEMORY: should be a size", "Write it as 2560m or 3g.")
    elif limit is not None:
        most = container_mib(children, allowed or needed)
        if limit < most * MIB:
            yield warning(
                SUBJECT,
                f"DARKROOM_WORKER_MEMORY: {text} is less than {children} processes may use at once ({most}m): "
                "with large images the kernel kills them",
                f"Set {most}m, or lower DARKROOM_WORK__MAX_IMAGE_MEMORY_MIB.",
            )


def _most_children(environment: Mapping[str, str]) -> int:
    """Return the processes of the largest worker."""
    given = {queue: environment.get(f"DARKROOM_{queue.upper()}_CONCURRENCY", "") for queue in QUEUES}
    return max(int(text) if text.isdecimal() else CHILDREN.get(queue, 1) for queue, text in given.items())


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
