"""Start, control and stop one supervisord on one data folder."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ServerProxy

from supervisor.xmlrpc import Faults, SupervisorTransport

from deploy.local.folders import FolderUnusable, check_temporary_folder, describe_failure, prepare_folder
from deploy.local.home import LOCK
from deploy.local.interrupts import defer_interrupts
from deploy.local.processes import ROOT

SOCKET_PATH_LIMIT = 90  # a unix socket's path has at most 104 bytes on some systems; supervisord first appends its pid
START_TIMEOUT_SECONDS = 60  # on a slow machine, imports take most of it
STACK_MIN_FREE_BYTES = 64 << 20  # an empty stack takes a few hundred KiB, a photo its own size and that of its previews
POLL_SECONDS = 0.05
STOP_SECONDS = 75  # 40 for the workers, then 10 for the servers, the rest for supervisord's loop


class StackError(Exception):
    """An operation on the embedded stack failed; the message says why."""


class PortInUse(StackError):
    """Another program listens on the port of one of the stack's processes."""

    def __init__(self, port: int, name: str) -> None:
        super().__init__(f"Port {port}, meant for the {name}, is in use by another program.")
        self.port, self.name = port, name


class AlreadyRunning(StackError):
    """Another process runs a stack on this data folder."""


class Supervisord:
    """supervisord in a session of its own. It holds the lock of its data folder until it exits."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.logs = folder / "logs"
        self._socket_folder: Path | None = None
        self._socket = folder / "supervisord.sock"
        self._password = secrets.token_hex(16)
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: int | None = None

    def prepare(self) -> None:
        """Create the data folder and lock it against a second stack. StackError if it cannot be written."""
        try:
            check_temporary_folder()  # workers need one
            prepare_folder(self.logs, min_free_bytes=STACK_MIN_FREE_BYTES)
            self.folder.chmod(0o700)
            self._lock = _acquire_lock(self.folder / LOCK)
            if len(os.fsencode(self._socket)) > SOCKET_PATH_LIMIT:
                self._socket_folder = Path(tempfile.mkdtemp(prefix="darkroom-"))
                self._socket = self._socket_folder / "supervisord.sock"
        except FolderUnusable as error:
            raise StackError(str(error)) from error
        except OSError as error:
            raise StackError(describe_failure(error, self.folder)) from error

    @property
    def socket_settings(self) -> dict[str, object]:
        """The settings of supervisord's unix socket. Valid after `prepare`."""
        return {"file": self._socket, "chmod": "0700", "username": "darkroom", "password": self._password}

    def start(self, configuration: str, environment: Mapping[str, str], *, preload: Iterable[str] = ()) -> None:
        """Start supervisord and wait until it listens. It first imports the modules of `preload`, to share them."""
        file = self.folder / "supervisord.conf"
        file.write_text(configuration)
        with (self.logs / "supervisord.err").open("wb") as errors, defer_interrupts():
            self._process = subprocess.Popen(  # noqa: S603  # our own interpreter and module
                [
                    sys.executable,
                    "-P",
                    str(ROOT / "deploy/local/supervisord_main.py"),
                    ",".join(preload),
                    "-c",
                    file.name,
                ],
                cwd=self.folder,
                env={**os.environ, **environment},
                stdin=subprocess.PIPE,  # never written to: the kernel closes it when this process ends for any reason
                stdout=subprocess.DEVNULL,
                stderr=errors,
                pass_fds=[self._lock] if self._lock else [],
                start_new_session=True,
            )
        self._await_socket()

    def _await_socket(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while time.monotonic() < deadline and self.is_alive():
            try:
                self.call("getState")
            except OSError:
                time.sleep(POLL_SECONDS)
            else:
                return
        output = (self.logs / "supervisord.err").read_text(errors="replace").strip()
        raise StackError(f"supervisord did not start: {output or 'it printed nothing'}")

    def is_alive(self) -> bool:
        """Whether supervisord runs."""
        return self._process is not None and self._process.poll() is None

    def call(self, method: str, *arguments: object) -> Any:
        """Call one method of supervisord's XML-RPC interface."""
        transport = SupervisorTransport("darkroom", self._password, f"unix://{self._socket}")
        try:
            return getattr(ServerProxy("http://localhost", transport=transport).supervisor, method)(*arguments)
        finally:
            transport.close()

    def start_process(self, name: str) -> None:
        """Start a process unless it runs; return at once."""
        self._call_ignoring_fault(Faults.ALREADY_STARTED, "startProcess", name, False)  # noqa: FBT003  # XML-RPC has no keywords

    def stop_process(self, name: str) -> None:
        """Stop a process unless it has stopped; return when it has exited."""
        # Wait here: if supervisord waits, its loop spins until the process has exited.
        self._call_ignoring_fault(Faults.NOT_RUNNING, "stopProcess", name, False)  # noqa: FBT003
        while self.call("getProcessInfo", name)["pid"]:
            time.sleep(POLL_SECONDS)

    def _call_ignoring_fault(self, harmless: int, method: str, *arguments: object) -> None:
        try:
            self.call(method, *arguments)
        except Fault as fault:
            if fault.faultCode != harmless:
                raise StackError(fault.faultString) from fault

    def stop(self) -> None:
        """Stop all processes in order, then supervisord. Leaves no process, lock or socket. Safe to repeat."""
        if self._process is not None:
            self._terminate(self._process)
            self._process = None
        if self._socket_folder is not None:
            shutil.rmtree(self._socket_folder, ignore_errors=True)
            self._socket_folder, self._socket = None, self.folder / "supervisord.sock"
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _terminate(self, process: subprocess.Popen[bytes]) -> None:
        process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        while process.poll() is None:
            if time.monotonic() > deadline:
                process.kill()  # the kernel then signals its children (PR_SET_PDEATHSIG)
            time.sleep(POLL_SECONDS)
        if process.stdin:
            process.stdin.close()


def _acquire_lock(file: Path) -> int:
    lock = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(lock, 20).decode().strip()
        os.close(lock)
        raise AlreadyRunning(_describe_lock_owner(owner, file.parent)) from None
    os.ftruncate(lock, 0)
    os.write(lock, f"{os.getpid()}\n".encode())
    return lock


def _describe_lock_owner(owner: str, folder: Path) -> str:
    try:
        os.kill(int(owner), 0)
    except (ValueError, ProcessLookupError):
        return f"An earlier run on {folder} is still stopping; try again in a moment."
    except PermissionError:
        pass
    return f"Darkroom is already running on {folder} (process {owner})."
