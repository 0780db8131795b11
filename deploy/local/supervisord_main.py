"""A supervisord that ends when its owner ends, and whose children end with it: no process is orphaned.

On Linux it is also their zygote: it imports the common modules once, and each child that is a Python module runs in a
fork of it. The stack then starts in a fraction of the time, and its processes share the memory of these modules.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import importlib
import os
import runpy
import signal
import sys
import threading
import traceback
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from math import inf
from pathlib import Path
from select import select
from socket import socketpair
from time import monotonic

import setproctitle
from supervisor import loggers, poller, supervisord
from supervisor.options import ServerOptions

PR_SET_PDEATHSIG = 1
MALLOPT = {"MALLOC_TRIM_THRESHOLD_": -1, "MALLOC_MMAP_THRESHOLD_": -3, "MALLOC_ARENA_MAX": -8}  # <malloc.h>
IS_LINUX = sys.platform == "linux"
LIBC = ctypes.CDLL(None)  # loaded before any fork
ROOT = str(Path(__file__).resolve().parents[2])
FAILED = 1
ACTIVE_SECONDS = 3.0  # supervisord looks at its processes and answers once per loop. After a signal or a request,
ACTIVE_POLL_SECONDS = 0.1  # it does so this often for so long, then once a second
LOG_SECONDS = 0.1  # between two readings of output that goes on: a busy stack writes 300 lines a second


class Poller(poller.Poller):  # type: ignore[misc]
    """The poller of supervisord's loop, which returns at once when a signal arrives, such as that of a child's exit."""

    def initialize(self) -> None:
        """Let the signals of this process write to a socket that is polled with the others."""
        super().initialize()
        self._signals, self._writer = socketpair()
        for end in (self._signals, self._writer):
            end.setblocking(False)  # noqa: FBT003  # it takes no keyword
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        self._last_event = monotonic()
        self._last_output = -inf
        self._is_talking = False

    def close(self) -> None:
        """Leave the signals alone."""
        signal.set_wakeup_fd(-1)
        self._signals.close()
        self._writer.close()
        super().close()

    def poll(self, timeout: float) -> tuple[list[int], list[int]]:
        """Return the readable and writable descriptors; none after a signal, or after a short time."""
        requests = {self._signals.fileno(), *self.options.get_socket_map()}
        if self._is_talking and not self.writables:
            select(requests, (), (), LOG_SECONDS)
        self.register_readable(self._signals.fileno())
        is_active = monotonic() - self._last_event < ACTIVE_SECONDS
        readable, writable = super().poll(ACTIVE_POLL_SECONDS if is_active else timeout)
        if not requests.issuperset(readable):
            self._is_talking = monotonic() - self._last_output < 2 * LOG_SECONDS
            self._last_output = monotonic()
        else:
            self._is_talking = False
        if not requests.isdisjoint(readable):
            self._last_event = monotonic()
        if self._signals.fileno() in readable:
            readable.remove(self._signals.fileno())
            self._signals.recv(4096)
        return readable, writable


class Options(ServerOptions):  # type: ignore[misc]  # supervisor has no types
    """supervisord's options, with extra steps in each child before its exec, or in place of it."""

    def __init__(self) -> None:
        super().__init__()
        self.poller = Poller(self)

    def setpgrp(self) -> None:
        """Make the child a group leader. On Linux, the kernel sends it TERM if this process is killed."""
        signal.set_wakeup_fd(-1)
        super().setpgrp()
        if IS_LINUX:
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)

    def execve(self, filename: str, argv: Sequence[str], env: Mapping[str, str]) -> None:
        """Exec the program. On Linux, run a module of this Python in this process, which has imported much of it."""
        if IS_LINUX and argv[:2] == [sys.executable, "-m"]:
            run_module(argv, env)
        super().execve(filename, argv, env)


def preload(modules: Iterable[str]) -> None:
    """Import the modules that children need, and keep them in memory pages that they share."""
    os.environ["SPT_NOENV"] = "1"  # a title then overwrites only the arguments: the environment stays readable in /proc
    setproctitle.getproctitle()  # it must locate the arguments before the environment changes
    gc.disable()  # modules are never garbage
    for module in modules:
        with suppress(Exception):  # a process that needs the module reports the error in its own log
            importlib.import_module(module)
    gc.collect()
    gc.freeze()
    gc.enable()


def run_module(argv: Sequence[str], env: Mapping[str, str]) -> None:
    """Run `python -m MODULE ...` in this process as in a new one; never return."""
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(env)
    for name in MALLOPT.keys() & env.keys():  # libc reads these variables only at the start of a process
        LIBC.mallopt(MALLOPT[name], int(env[name]))
    sys.argv[:] = argv[2:]
    setproctitle.setproctitle(" ".join([Path(argv[0]).name, *argv[1:]]))
    os._exit(_run(argv[2]))


def _run(module: str) -> int:
    """Run a module as the main one, with its exit functions, and return the exit status."""
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as ending:
        status = _status(ending)
    except BaseException:  # noqa: BLE001  # as the interpreter does
        traceback.print_exc()
        status = FAILED
    else:
        status = 0
    threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001  # the steps of an interpreter's exit have no public name
    atexit._run_exitfuncs()  # noqa: SLF001
    sys.stdout.flush()
    sys.stderr.flush()
    return status


def _status(ending: SystemExit) -> int:
    if ending.code is None or isinstance(ending.code, int):
        return ending.code or 0
    print(ending.code, file=sys.stderr)
    return FAILED


def stop_when_owner_ends() -> None:
    """Shut down gracefully when the owner, which holds the other end of our stdin, has ended."""
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Run supervisord in the foreground until TERM or the end of its owner.

    Arguments: the modules to import first, separated by commas; then supervisord's.
    """
    modules, *arguments = sys.argv[1:]
    sys.path.insert(0, ROOT)
    loggers.RotatingFileHandler = importlib.import_module("deploy.local.log_file").LogFile
    options = Options()
    options.realize(arguments, doc=__doc__)
    options.first, options.test = True, False
    threading.Thread(target=stop_when_owner_ends, daemon=True).start()
    if IS_LINUX:
        preload(filter(None, modules.split(",")))
    supervisord.go(options)
    options.close_httpservers()
    options.close_logger()


if __name__ == "__main__":
    main()
