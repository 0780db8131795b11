"""What Redis answers: its version and settings, its clock, and whether we may do there what we need."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from redis import Redis
from redis.exceptions import (
    AuthenticationError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
)

from deploy.admin.findings import Finding, error, has_errors, ok, warning
from pipeline.broker.redis_urls import RedisUrl
from pipeline.settings import Settings

SUBJECT = "redis"
MIN_VERSION = 6
MIB = 1024 * 1024
FULL_SHARE, NEARLY_FULL_SHARE = 0.98, 0.8
MAX_SKEW_SECONDS = 5
EXPIRE_SECONDS = 60
GRANT = "Give the user its rights; deploy/compose/credentials.py lists them."


def check_redis(settings: Settings) -> Iterator[Finding]:
    """Yield what the server of messages answers, and that of chord counters where it is another one."""
    urls = {"DARKROOM_REDIS_URL": settings.redis_url}
    if settings.result_url and _server(settings.result_url) != _server(settings.redis_url):
        urls["DARKROOM_RESULT_URL"] = settings.result_url
    findings = [finding for variable, url in urls.items() for finding in _check_server(variable, url, settings)]
    yield from findings
    if len(urls) == 1 and not has_errors(findings):  # the other database of the same server; some have only one
        with _open(settings.result_backend_url, settings) as client:
            yield from _catch_errors("DARKROOM_RESULT_URL", lambda: _check_rights(client, "chord counters"))


def _check_server(variable: str, url: str, settings: Settings) -> Iterator[Finding]:
    with _open(url, settings) as client:
        yield from _catch_errors(variable, lambda: _check_answers(client))


def _check_answers(client: Redis) -> Iterator[Finding]:
    client.ping()  # raises if user or password is wrong
    try:
        info: Mapping[str, Any] = client.info()
    except NoPermissionError:
        yield warning(
            SUBJECT,
            "it answers, but the user may not use INFO: its version, memory and settings are unknown, and the alert "
            "RedisNearlyFull cannot fire",
            "Grant it +info, if you can.",
        )
    else:
        yield from judge_info(info)
    yield from judge_clock(SUBJECT, float(".".join(map(str, client.time()))) - time.time())
    yield from _check_rights(client, "messages")


def judge_info(info: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield what is wrong with a server that describes itself so."""
    name = "Valkey" if "valkey_version" in info else "Redis"
    version = str(info.get("valkey_version") or info.get("redis_version", "0"))
    if int(version.split(".", maxsplit=1)[0]) < MIN_VERSION:
        yield error(SUBJECT, f"{name} {version} is too old", f"Use {MIN_VERSION}.0 or newer.")
    else:
        yield ok(SUBJECT, f"{name} {version} answers")
    if info.get("role") == "slave":
        yield error(SUBJECT, "this server is a replica, which takes no writes", "Name the primary, or its sentinels.")
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        yield error(
            SUBJECT,
            f"maxmemory-policy is {policy}: a full server throws messages away",
            "Set maxmemory-policy noeviction.",
        )
    if not info.get("aof_enabled"):
        yield warning(
            SUBJECT,
            "no append-only file: a restart loses the queues, and jobs wait until the sweeper dispatches them again",
            "Set appendonly yes.",
        )
    elif info.get("aof_last_write_status", "ok") != "ok":
        yield error(SUBJECT, "the append-only file cannot be written", "Look at the disk and the log of Redis.")
    yield from _judge_memory(info)


def _judge_memory(info: Mapping[str, Any]) -> Iterator[Finding]:
    used, limit = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    if not limit:
        yield warning(SUBJECT, "no maxmemory: a long queue can take all memory of the machine", "Set maxmemory.")
        return
    text = f"{used / MIB:.1f} of {limit / MIB:.0f} MiB are used"
    if used >= FULL_SHARE * limit:
        yield error(SUBJECT, f"it is full: {text}", "Raise maxmemory, and start workers that empty the queues.")
    elif used >= NEARLY_FULL_SHARE * limit:
        yield warning(SUBJECT, f"it is nearly full: {text}", "Raise maxmemory, or add workers.")
    else:
        yield ok(SUBJECT, text)


def judge_clock(subject: str, skew_seconds: float) -> Iterator[Finding]:
    """Yield a finding if the clock of a server is far ahead of ours, or behind it."""
    if abs(skew_seconds) > MAX_SKEW_SECONDS:
        yield warning(
            subject,
            f"its clock is {abs(skew_seconds):.0f} s {'ahead of' if skew_seconds > 0 else 'behind'} ours",
            "Synchronize the clocks of both machines (NTP).",
        )


def _check_rights(client: Redis, purpose: str) -> Iterator[Finding]:
    """Do once what our programs do, on keys of our own, which expire."""
    key = f"darkroom-check-{uuid4().hex}"
    commands: dict[str, Callable[[], object]] = {
        "SET": lambda: client.set(key, 1, ex=EXPIRE_SECONDS),
        "INCR": lambda: client.incr(key),
        "EXPIRE": lambda: client.expire(key, EXPIRE_SECONDS),
        "MULTI": lambda: _run_transaction(client, key),
        "LPUSH": lambda: client.lpush(f"{key}-list", 1),
        "BRPOP": lambda: client.brpop([f"{key}-list"], timeout=1),
        "ZADD": lambda: client.zadd(f"{key}-set", {"a": 1}),
        "ZREM": lambda: client.zrem(f"{key}-set", "a"),
        "HSET": lambda: client.hset(f"{key}-hash", "a", "1"),
        "HDEL": lambda: client.hdel(f"{key}-hash", "a"),
        "EVALSHA": lambda: client.evalsha(str(client.script_load("return 1")), 0),
        "PUBLISH": lambda: client.publish(key, "1"),
        "SUBSCRIBE": lambda: _subscribe(client, key),
        "DEL": lambda: client.delete(key),
    }
    refused = []
    for name, run in commands.items():
        try:
            run()
        except NoPermissionError:
            refused.append(name)
    if refused:
        yield error(
            SUBJECT,
            f"the user may not run {', '.join(refused)} ({purpose})",
            GRANT,
        )
    else:
        yield ok(SUBJECT, f"the user may do all that is needed for {purpose}")


def _run_transaction(client: Redis, key: str) -> None:
    with client.pipeline(transaction=True) as transaction:
        transaction.get(key)
        transaction.execute()


def _subscribe(client: Any, channel: str) -> None:
    with client.pubsub() as subscription:
        subscription.subscribe(channel)
        subscription.parse_response(block=True)


def _open(url: str, settings: Settings) -> Redis:
    timeouts = {
        "socket_timeout": settings.broker.socket_timeout,
        "socket_connect_timeout": settings.broker.connect_timeout,
    }
    return RedisUrl(url).open(**timeouts)


def _server(url: str) -> str:
    return urlsplit(url)._replace(path="", scheme="").geturl()


def _catch_errors(variable: str, check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """Yield the findings of a check; an error of Redis is the last one."""
    try:
        yield from check()
    except AuthenticationError:
        yield error(SUBJECT, "user or password is wrong", f"Correct {variable}.")
    except NoPermissionError as denied:
        yield error(SUBJECT, f"it refuses: {denied}", GRANT)
    except OutOfMemoryError:
        yield error(SUBJECT, "it is full and takes no writes", "Raise maxmemory, and start workers.")
    except ReadOnlyError:
        yield error(SUBJECT, "this server is a replica, which takes no writes", "Name the primary, or its sentinels.")
    except RedisError as failure:
        yield error(SUBJECT, f"it does not answer: {failure}", f"Start it, or correct {variable}.")
