"""Faults of the servers: killed, alone or with others, frozen, away; Redis full, and come back with less."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator

from redis import Redis

from tests.tools.chaos.scene import FaultEffect, Scene
from tests.tools.chaos.stack import POOLS, pool_of_worker
from tests.tools.chaos.timing import VISIBILITY_SECONDS

MOST_TORN_BYTES = 3000
VICTIMS = (
    ("gateways", "redis"),
    ("workers", "mongo"),
    ("redis", "mongo"),
    ("gateways", "workers", "redis", "mongo"),
)


def redis_killed(scene: Scene) -> Iterator[FaultEffect]:
    """SIGKILL Redis; it comes back with its append-only file."""
    scene.stack.signal("redis", signal.SIGKILL)
    yield FaultEffect()


def redis_emptied(scene: Scene) -> Iterator[FaultEffect]:
    """Stop Redis, remove its files, start it: every message and every chord is gone."""
    scene.stack.stop_process("redis")
    try:
        yield FaultEffect()
        shutil.rmtree(scene.stack.folder / "redis")
        (scene.stack.folder / "redis").mkdir()
        time.sleep(scene.pick_seconds(0, 2))
    finally:
        scene.stack.start_process("redis")


def redis_aof_torn(scene: Scene) -> Iterator[FaultEffect]:
    """Stop Redis, cut the last bytes off its append-only file, start it: the latest messages are gone."""
    scene.stack.stop_process("redis")
    try:
        file = max(
            (scene.stack.folder / "redis" / "appendonlydir").glob("*.incr.aof"), key=lambda file: file.stat().st_mtime
        )
        cut = min(file.stat().st_size, scene.random.randint(1, MOST_TORN_BYTES))
        os.truncate(file, file.stat().st_size - cut)
        yield FaultEffect(f"{cut} bytes")
    finally:
        scene.stack.start_process("redis")


def redis_full(scene: Scene) -> Iterator[FaultEffect]:
    """Let Redis have no more memory for a few seconds: it answers, and refuses what would add to it."""
    seconds = scene.pick_seconds(2, 6)
    with Redis.from_url(scene.stack.redis_url) as redis, scene.expect_no_end():
        redis.config_set("maxmemory", 1)
        try:
            yield FaultEffect(f"{seconds:.1f} s")
            time.sleep(seconds)
        finally:
            redis.config_set("maxmemory", 0)


def everything_killed(scene: Scene) -> Iterator[FaultEffect]:
    """SIGKILL several things in one moment: the gateways and Redis, the workers and Mongo, both servers, or all."""
    victims = scene.random.choice(VICTIMS)
    names = [name for name in scene.stack.autostart_processes if _kind(name) in victims]
    children = [pid for name in names for pid in scene.stack.children(name)]
    for name in names:
        scene.stack.signal(name, signal.SIGKILL)
    scene.stack.send(children, signal.SIGKILL)
    yield FaultEffect(" and ".join(victims))


def redis_away(scene: Scene) -> Iterator[FaultEffect]:
    """Stop Redis for longer than a lease and than a message stays out of sight."""
    yield from _away(scene, "redis")


def redis_frozen(scene: Scene) -> Iterator[FaultEffect]:
    """SIGSTOP Redis for a few seconds."""
    yield from _frozen(scene, "redis")


def mongo_killed(scene: Scene) -> Iterator[FaultEffect]:
    """SIGKILL Mongo; it comes back with its journal."""
    scene.stack.signal("mongo", signal.SIGKILL)
    yield FaultEffect()


def mongo_away(scene: Scene) -> Iterator[FaultEffect]:
    """Stop Mongo for longer than a lease and than a message stays out of sight."""
    yield from _away(scene, "mongo")


def mongo_frozen(scene: Scene) -> Iterator[FaultEffect]:
    """SIGSTOP Mongo for a few seconds."""
    yield from _frozen(scene, "mongo")


def _away(scene: Scene, name: str) -> Iterator[FaultEffect]:
    seconds = VISIBILITY_SECONDS + scene.pick_seconds(1, 5)
    with scene.expect_no_end():
        scene.stack.stop_process(name)
        try:
            yield FaultEffect(f"{seconds:.1f} s")
            time.sleep(seconds)
        finally:
            scene.stack.start_process(name)


def _frozen(scene: Scene, name: str) -> Iterator[FaultEffect]:
    seconds = scene.pick_seconds(2, 6)
    with scene.expect_no_end():
        scene.stack.signal(name, signal.SIGSTOP)
        try:
            yield FaultEffect(f"{seconds:.1f} s")
            time.sleep(seconds)
        finally:
            scene.stack.signal(name, signal.SIGCONT)


def _kind(name: str) -> str:
    if name.startswith("gateway"):
        return "gateways"
    return "workers" if pool_of_worker(name) in POOLS else name
