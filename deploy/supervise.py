"""A supervisord that cannot be orphaned and orphans nobody: it ends with its owner, and its children end with it."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading

from supervisor import supervisord
from supervisor.options import ServerOptions

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None  # loaded before any fork


class Options(ServerOptions):  # type: ignore[misc]  # supervisor has no types
    """supervisord's options, with one more thing done in each child before it execs."""

    def setpgrp(self) -> None:
        """Make the child a group leader, and have the kernel stop it if this process is killed outright."""
        super().setpgrp()
        if LIBC is not None:
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def stop_with_owner() -> None:
    """Shut down in good order once the owner, which holds the other end of our stdin, is gone."""
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Run supervisord in the foreground with the arguments given, until it is told to stop or its owner ends."""
    options = Options()
    options.realize(sys.argv[1:], doc=__doc__)
    options.first, options.test = True, False
    threading.Thread(target=stop_with_owner, daemon=True).start()
    supervisord.go(options)
    options.close_httpservers()
    options.close_logger()


if __name__ == "__main__":
    main()
