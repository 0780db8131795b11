"""Redis as others run it: over TLS, and with users who may do this or that."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest
from redis import Redis

from deploy.local import readiness
from deploy.local.ports import free_port
from tests.integration.api_helpers import wait_until
from tests.support.programs import ROOT, run_logged_program

UNPACKED = ROOT / ".cache" / "redis-tools" / "usr"
SERVER_PROGRAMS = ("redis-server", "redis-check-rdb")  # the same program, which looks at its name


ACL_RULES = (
    "~fetch* ~validate* ~normalize* ~resize* ~transform* ~finalize* ~notify* ~unacked* ~_kombu.* "  # messages
    "~*.celery.pidbox* ~celeryev.* ~celery-task* ~LIMITS:* "  # Flower's questions, chords, rate limits
    "resetchannels &darkroom.changes &darkroom.ends &/0.celery.pidbox &/0.celeryev/* "
    "&celery-task-meta-* "  # the result of a broken chord
    "-@all +@list +@hash +@set +@sortedset +@string +@keyspace +@transaction +@scripting +@pubsub +@connection "
    "+time -@dangerous +info"  # no FLUSHALL, KEYS, CONFIG, MONITOR
)
"""What Darkroom does on a Redis, as its ACL says it; 0 is the database in its address."""


OPENSSL_CONFIG = """
[req]
distinguished_name = nobody
[nobody]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
subjectAltName = {names}
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""
"""All that RFC 5280 asks for, on which Python insists from 3.13 on."""


@dataclass(frozen=True)
class TlsRedis:
    """A server that speaks TLS only, to two users: `darkroom` with the rights given, and one who may look at all."""

    url: str
    admin_url: str
    ca_file: Path

    def open_admin_client(self) -> Redis:
        """Return a client that may do anything, for a `with` statement."""
        return Redis.from_url(self.admin_url, decode_responses=True)


def find_server() -> Path:
    """Return the path of a Redis that was built with TLS; without it the test is skipped, in CI it fails."""
    for folders in (None, str(UNPACKED / "bin")):
        for name in SERVER_PROGRAMS:
            if found := shutil.which(name, path=folders):
                return Path(found)
    reason = f"redis-server is neither on PATH nor in {UNPACKED}: .ci/run shows how it gets there"
    (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    raise AssertionError(reason)


def create_certificates(folder: Path, names: str = "IP:127.0.0.1") -> Path:
    """Make an authority, and a certificate and key for these names; return the authority's file. Needs openssl."""
    if shutil.which("openssl") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("openssl is not installed")
    (folder / "openssl.cnf").write_text(OPENSSL_CONFIG.format(names=names))
    make = ("req", "-x509", "-config", "openssl.cnf", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    authority = ("-extensions", "authority", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=authority")
    server = ("-extensions", "server", "-keyout", "server.key", "-out", "server.pem", "-subj", "/CN=server")
    _openssl(folder, *make, *authority)
    _openssl(folder, *make, *server, "-CA", "ca.pem", "-CAkey", "ca.key")
    return folder / "ca.pem"


def _openssl(folder: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


@contextmanager
def run_tls_redis(folder: Path, acl_rules: str) -> Iterator[TlsRedis]:
    """Run a Redis over TLS whose user `darkroom` has these rights, until the block ends."""
    server = folder / SERVER_PROGRAMS[0]
    server.symlink_to(find_server())
    ca_file, port = create_certificates(folder), free_port()
    passwords = create_passwords()
    write_acl_file(folder, acl_rules, passwords)
    urls = {
        name: f"rediss://{name}:{password}@127.0.0.1:{port}/0?ssl_ca_certs={ca_file}"
        for name, password in passwords.items()
    }
    options = {
        "bind": "127.0.0.1",
        "port": "0",
        "tls-port": str(port),
        "tls-cert-file": str(folder / "server.pem"),
        "tls-key-file": str(folder / "server.key"),
        "tls-ca-cert-file": str(ca_file),
        "tls-auth-clients": "no",
        "aclfile": str(folder / "users.acl"),
        "dir": str(folder),
        "save": "",
        "appendonly": "yes",
        "maxmemory-policy": "noeviction",
    }
    with run_logged_program(*build_command(server, options), log=folder / "redis.log", **_libraries()):
        wait_until(lambda: readiness.is_redis_ready(urls["admin"]), "Redis over TLS")
        yield TlsRedis(urls["darkroom"], urls["admin"], ca_file)


@contextmanager
def run_redis_by_script(folder: Path, script: str, **environment: str) -> Iterator[None]:
    """Run a shell's script in which `redis-server` is a Redis, until the block ends."""
    server = folder / SERVER_PROGRAMS[0]
    if not server.is_symlink():  # it is, when the server is started again
        server.symlink_to(find_server())
    path = os.pathsep.join([str(folder), os.environ["PATH"]])
    environment |= {"PATH": path, **_libraries()}
    with run_logged_program("sh", "-c", script, log=folder / "redis.log", **environment):
        yield


def create_passwords() -> dict[str, str]:
    """Make a password for `darkroom`, and one for `admin`, who may do anything."""
    return {name: secrets.token_urlsafe(16) for name in ("darkroom", "admin")}


def write_acl_file(folder: Path, acl_rules: str, passwords: Mapping[str, str]) -> None:
    """Write a server's `users.acl`: those two, the first with these rights."""
    granted = {"darkroom": acl_rules, "admin": "~* &* +@all"}
    lines = [f"user {name} on #{_digest(passwords[name])} {each}" for name, each in granted.items()]
    (folder / "users.acl").write_text("\n".join(["user default off resetpass ~* &* +@all", *lines, ""]))


def _digest(password: str) -> str:
    return sha256(password.encode()).hexdigest()


def build_command(server: Path | str, options: Mapping[str, str]) -> list[str]:
    """Return a server's command line."""
    return [str(server), *(word for name, value in options.items() for word in (f"--{name}", value))]


def _libraries() -> dict[str, str]:
    """Return where the libraries of an unpacked server are, which nothing else on this machine may have."""
    folders = [str(folder) for folder in (UNPACKED / "lib").glob("*")]
    return {"LD_LIBRARY_PATH": os.pathsep.join(folders)} if folders else {}
