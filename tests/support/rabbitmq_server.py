"""A RabbitMQ of a test's own, on loopback and in a folder, without anything installed or left behind."""

from __future__ import annotations

import os
import re
import secrets
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from kombu import Connection
from kombu.exceptions import OperationalError

from deploy.local.ports import free_port
from tests.integration.api_helpers import wait_until
from tests.support.programs import ROOT, STOP_SECONDS, report_end, run_logged_program, start_program

UNPACKED = ROOT / ".cache" / "rabbitmq-server"
USER = "darkroom"
START_SECONDS = 180  # of which it takes six of CPU
CLOSE_CONNECTIONS = 'rabbit_networking:close_all_connections("maintenance").'
SET_ALARM = "rabbit_alarm:set_alarm({{resource_limit, disk, node()}, []})."
CLEAR_ALARM = "rabbit_alarm:clear_alarm({resource_limit, disk, node()})."
CUT_CONNECTIONS = """[prim_inet:shutdown(Socket, read_write) || Reader <- rabbit_networking:connections(),
  {links, Links} <- [process_info(Reader, links)], Socket <- Links, is_port(Socket)]."""
ERLANG_OPTIONS = (  # as Debian's script starts it; that needs a user of its own, and Erlang under /usr
    *("-noinput", "-s", "rabbit", "boot", "-boot", "start_sasl", "+W", "w", "+sbwt", "none", "+B", "i"),
    *("-kernel", "inet_dist_use_interface", "{127,0,0,1}", "-kernel", "prevent_overlapping_partitions", "false"),
    *("-syslog", "logger", "[]", "-syslog", "syslog_error_logger", "false"),
)


def find_installation() -> Path:
    """Return the folder whose `usr/lib` has RabbitMQ and Erlang; without it the test is skipped, in CI it fails."""
    for root in (Path("/"), UNPACKED):
        if any(root.glob("usr/lib/rabbitmq/lib/*/plugins")) and any(root.glob("usr/lib/erlang/erts-*/bin/erlexec")):
            return root
    reason = f"RabbitMQ is neither installed nor in {UNPACKED}: .ci/run shows how it gets there"
    (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    raise AssertionError(reason)


@dataclass
class RabbitMQServer:
    """A server that can be killed, stopped, frozen and started again; it keeps its messages."""

    folder: Path
    url: str
    tls_url: str
    password: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    erl_call: str
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def pid(self) -> int:
        """The id of its process; 0 while it does not run."""
        return self._process.pid if self._process else 0

    def start(self) -> None:
        """Start it, and return once it lets clients in."""
        log_path = self.folder / "rabbitmq.log"
        with log_path.open("ab") as log:
            self._process = start_program(
                *self.command, cwd=self.folder, environment=self.environment, stdout=log, stderr=log
            )
        wait_until(self._is_ready, f"RabbitMQ, which says why in {log_path}", START_SECONDS)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it, in its good order or by another signal, and return once it is gone."""
        if self._process is None:
            return
        self._process.send_signal(number)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        report_end(self._process)
        self._process = None

    @contextmanager
    def outage(self, number: signal.Signals = signal.SIGTERM) -> Iterator[None]:
        """Be away until the block ends."""
        self.stop(number)
        try:
            yield
        finally:
            self.start()

    @contextmanager
    def freeze(self) -> Iterator[None]:
        """Take connections and answer nothing until the block ends."""
        assert self._process is not None
        stat = Path(f"/proc/{self._process.pid}/stat")
        self._process.send_signal(signal.SIGSTOP)
        try:
            wait_until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T", "RabbitMQ to be frozen")
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    @contextmanager
    def alarm(self) -> Iterator[None]:
        """Stop publishers until the block ends, as when the disk is nearly full."""
        self._evaluate(SET_ALARM)
        try:
            yield
        finally:
            self._evaluate(CLEAR_ALARM)

    def close_connections(self) -> None:
        """Close every client's connection, saying so."""
        self._evaluate(CLOSE_CONNECTIONS)

    def cut_connections(self) -> None:
        """Close every client's connection without a word, as when the server is killed."""
        self._evaluate(CUT_CONNECTIONS)

    def connect(self) -> Connection:
        """Return a connection, for a `with` statement."""
        return Connection(self.url)

    def count_messages(self, queue: str) -> int:
        """Return how many messages wait in a queue that is there."""
        with self.connect() as connection:
            channel: Any = connection.default_channel
            return int(channel.queue_declare(queue, passive=True).message_count)

    def _evaluate(self, expressions: str) -> None:
        """Have the server evaluate Erlang, and return once it has."""
        cookie = (self.folder / ".erlang.cookie").read_text(encoding="ascii")
        command = [self.erl_call, "-sname", self.environment["RABBITMQ_NODENAME"], "-c", cookie, "-e"]
        environment = {**os.environ, **self.environment}
        answer = subprocess.run(
            command, input=f"{expressions}\n", env=environment, capture_output=True, text=True, timeout=30, check=True
        ).stdout
        assert answer.startswith("{ok,"), answer

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"RabbitMQ ended, and says why in {self.folder / 'rabbitmq.log'}"
        if not _is_listening(urlsplit(self.url).port or 0):
            return False  # at a fraction of what it costs to try
        try:
            with self.connect() as connection:
                connection.ensure_connection(max_retries=0)
        except OperationalError:
            return False
        return True


@contextmanager
def run_rabbitmq(folder: Path, *, certificates: Path | None = None) -> Iterator[RabbitMQServer]:
    """Run a server until the block ends; with the folder of a certificate and its key, it speaks TLS as well."""
    root, ports = find_installation(), {name: free_port() for name in ("client", "tls", "cluster", "names")}
    password = secrets.token_urlsafe(16)
    _configure(folder, ports, password, certificates)
    _link_applications(_plugins(root), folder / "lib")
    erlang = root / "usr/lib/erlang"
    programs = next(erlang.glob("erts-*/bin"))
    environment = _environment(folder, root, programs, ports)
    server = RabbitMQServer(
        folder,
        f"amqp://{USER}:{password}@127.0.0.1:{ports['client']}//",
        f"amqps://{USER}:{password}@127.0.0.1:{ports['tls']}//",
        password,
        (str(programs / "erlexec"), *ERLANG_OPTIONS),
        environment,
        str(programs / "erl_call"),
    )
    names = (str(programs / "epmd"), "-address", "127.0.0.1", "-port", str(ports["names"]))
    with ExitStack() as resources:
        resources.enter_context(
            run_logged_program(*names, log=folder / "epmd.log")
        )  # or it would start one, and leave it behind
        wait_until(lambda: _is_listening(ports["names"]), "Erlang's names")
        resources.callback(server.stop)
        server.start()
        yield server


def _configure(folder: Path, ports: Mapping[str, int], password: str, certificates: Path | None) -> None:
    lines = {
        "listeners.tcp.default": f"127.0.0.1:{ports['client']}",
        "default_user": USER,
        "default_pass": password,
        "disk_free_limit.absolute": "10MB",
        "raft.wal_max_size_bytes": "1048576",  # or it fills half a gigabyte at each start, for queues nobody uses
        "log.console": "true",
    }
    if certificates:
        lines["listeners.ssl.default"] = f"127.0.0.1:{ports['tls']}"
        files = {"cacertfile": "ca.pem", "certfile": "server.pem", "keyfile": "server.key"}
        lines |= {f"ssl_options.{name}": str(certificates / file) for name, file in files.items()}
    (folder / "rabbitmq.conf").write_text("".join(f"{name} = {value}\n" for name, value in lines.items()))


def _plugins(root: Path) -> Path:
    """Return the folder of every application that comes with the server."""
    return next(root.glob("usr/lib/rabbitmq/lib/*/plugins"))


def _link_applications(plugins: Path, folder: Path) -> None:
    """Link those that the server itself needs into a folder: Erlang looks for a module in one after another.

    There are seventy, so fifty thousand files were looked for in vain, each with two turns of a thread: a quarter of
    the CPU that a start took, and minutes where eighteen processes wanted two cores.
    """
    folder.mkdir()
    names, linked = ["rabbit"], set[str]()
    while names:
        name = names.pop()
        found = next(plugins.glob(f"{name}-[0-9]*"), None)
        if found is None or name in linked:
            continue  # Erlang's own
        linked.add(name)
        (folder / found.name).symlink_to(found.resolve())
        about = (found / "ebin" / f"{name}.app").read_text(encoding="utf-8")
        names += re.findall(r"\w+", re.findall(r"\{applications,\s*\[([^]]*)]", about)[0])


def _environment(folder: Path, root: Path, programs: Path, ports: Mapping[str, int]) -> dict[str, str]:
    applications = str(folder / "lib")
    return {
        "ROOTDIR": str(root / "usr/lib/erlang"),
        "BINDIR": str(programs),
        "EMU": "beam",
        "PROGNAME": "erl",
        "HOME": str(folder),  # where Erlang keeps the cookie of its cluster
        "ERL_LIBS": applications,
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(ports["names"]),
        "RABBITMQ_HOME": str(_plugins(root).parent),
        "RABBITMQ_NODENAME": "darkroom@localhost",
        "RABBITMQ_DIST_PORT": str(ports["cluster"]),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_PLUGINS_DIR": applications,
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
        "RABBITMQ_CONF_ENV_FILE": os.devnull,
    }


def _is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
