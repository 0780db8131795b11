"""Readiness checks of the embedded stack's processes, and their children."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import httpx
import pymongo
from pymongo.errors import PyMongoError
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

TIMEOUT_SECONDS = 1.0  # of one check
EMPTY_TLS_CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # loading the system's certificates takes 40 ms each time


def is_redis_ready(url: str) -> bool:
    """Whether the server answers and has loaded its data."""
    once = Retry(NoBackoff(), 0)
    with Redis.from_url(
        url, socket_connect_timeout=TIMEOUT_SECONDS, socket_timeout=TIMEOUT_SECONDS, retry=once
    ) as client:
        try:
            return bool(client.ping())
        except RedisError:
            return False


def is_mongo_ready(url: str) -> bool:
    """Whether the server answers."""
    client: pymongo.MongoClient[dict[str, object]]
    with pymongo.MongoClient(url) as client, pymongo.timeout(TIMEOUT_SECONDS):
        try:
            client.admin.command("ping")
        except PyMongoError:
            return False
    return True


def is_gateway_ready(url: str) -> bool:
    """Whether the gateway reports itself and its dependencies ready."""
    return _is_success(f"{url}/readyz")


def is_flower_ready(url: str) -> bool:
    """Whether Flower answers."""
    return _is_success(f"{url}/healthcheck")


def is_frontend_ready(url: str) -> bool:
    """Whether the page is served."""
    return _is_success(url)


def _is_success(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5, trust_env=False, verify=EMPTY_TLS_CONTEXT).is_success
    except httpx.TransportError:
        return False


def read_log_after(log: Path, start: int) -> str:
    """Return a log from this offset on: all of it if it was rotated since, nothing if the file does not exist."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(start if start <= size else 0)
            return file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""


def find_child_pids(pid: int) -> list[int]:
    """Return the ids of a process's children, lowest first."""
    if Path("/proc/self/stat").exists():
        pairs = _read_parent_pids()
    else:
        listing = subprocess.run(["/bin/ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True)
        pairs = [(int(child), int(parent)) for child, parent in map(str.split, listing.stdout.splitlines())]
    return sorted(child for child, parent in pairs if parent == pid)


def _read_parent_pids() -> list[tuple[int, int]]:
    pairs = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = file.read_text(errors="replace")
        except OSError:  # the process has ended
            continue
        state, parent = text.rpartition(")")[2].split()[:2]
        if state != "Z":
            pairs.append((int(file.parent.name), int(parent)))
    return pairs
