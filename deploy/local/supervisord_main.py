"""A supervisord that cannot be orphaned and orphans nobody: it ends with its owner, and its children end with it.

On Linux it is also their zygote: it imports once what they have in common, and each of them that is a Python module
runs in a fork of it. A stack is then ready in a fraction of the time, and its processes share what they imported.
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
from pathlib import Path

import setproctitle
from supervisor import poller, supervisord
from supervisor.options import ServerOptions

PR_SET_PDEATHSIG = 1
MALLOPT = {"MALLOC_TRIM_THRESHOLD_": -1, "MALLOC_MMAP_THRESHOLD_": -3, "MALLOC_ARENA_MAX": -8}  # <malloc.h>
IS_LINUX = sys.platform == "linux"
LIBC = ctypes.CDLL(None)  # loaded before any fork
ROOT = str(Path(__file__).resolve().parents[2])
FAILED = 1
MAX_POLL_SECONDS = 0.1  # of supervisord's loop, which hears of a child's end once in a turn; its own take a second


class Poller(poller.Poller):  # type: ignore[misc]
    """What supervisord's loop waits with."""

    def poll(self, timeout: float) -> tuple[list[int], list[int]]:
        """Return the descriptors that can be read and written, after a short turn at the latest."""
        ready: tuple[list[int], list[int]] = super().poll(min(timeout, MAX_POLL_SECONDS))
        return ready


class Options(ServerOptions):  # type: ignore[misc]  # supervisor has no types
    """supervisord's options, with more done in each child before it execs, or instead."""

    def __init__(self) -> None:
        super().__init__()
        self.poller = Poller(self)

    def setpgrp(self) -> None:
        """Make the child a group leader, and have the kernel stop it if this process is killed outright."""
        super().setpgrp()
        if IS_LINUX:
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)

    def execve(self, filename: str, argv: Sequence[str], env: Mapping[str, str]) -> None:
        """Become the program; a module of this very Python is run in this process, which has imported its like."""
        if IS_LINUX and argv[:2] == [sys.executable, "-m"]:
            run_module(argv, env)
        super().execve(filename, argv, env)


def preload(modules: Iterable[str]) -> None:
    """Import what children will want, and keep it in pages that they can share."""
    os.environ["SPT_NOENV"] = "1"  # a title takes the place of the arguments alone: the environment stays readable
    setproctitle.getproctitle()  # it has to find them before the environment is changed
    sys.path.insert(0, ROOT)
    gc.disable()  # modules stay: nothing among them is garbage
    for module in modules:
        with suppress(Exception):  # the process that cannot do without it says so, in its own log
            importlib.import_module(module)
    gc.collect()
    gc.freeze()
    gc.enable()


def run_module(argv: Sequence[str], env: Mapping[str, str]) -> None:
    """Run `python -m MODULE ...` in this process, as if it had just been started; never return."""
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(env)
    for name in MALLOPT.keys() & env.keys():  # which libc has read for itself where it is a new process's
        LIBC.mallopt(MALLOPT[name], int(env[name]))
    sys.argv[:] = argv[2:]
    setproctitle.setproctitle(" ".join([Path(argv[0]).name, *argv[1:]]))
    os._exit(_run(argv[2]))


def _run(module: str) -> int:
    """Run a module as the main one, to the very end; the exit status."""
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as ending:
        status = _status(ending)
    except BaseException:  # noqa: BLE001  # as the interpreter does
        traceback.print_exc()
        status = FAILED
    else:
        status = 0
    threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001  # an interpreter's end has no public name
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
    """Shut down in good order once the owner, which holds the other end of our stdin, is gone."""
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Run supervisord in the foreground, until it is told to stop or its owner ends.

    Arguments: the modules to import first, with commas between them; then supervisord's.
    """
    modules, *arguments = sys.argv[1:]
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
