"""TCP ports on the loopback address."""

from __future__ import annotations

import random
import socket

# Below every system's ephemeral range: a client that keeps trying a stopped server on an ephemeral port can be given
# that very port as its own, connect to itself, and keep the server from ever coming back.
FREE = range(20_000, 32_000)


def is_free(port: int) -> bool:
    """Whether a server could listen on 127.0.0.1:port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen()
        except OSError:
            return False
    return True


def free_port(preferred: int = 0) -> int:
    """Return the preferred port if it is given and free, else another that is, and that nobody else is given."""
    if preferred and is_free(preferred):
        return preferred
    candidates = (random.choice(FREE) for _ in FREE)  # noqa: S311  # not a secret
    return next(port for port in candidates if is_free(port) and _reserve(port))


def _reserve(port: int) -> bool:
    """Keep the number for this process's life, before a server listens and while it restarts.

    By its UDP twin, which nobody uses: the system sees to it that no two processes have it, and that it ends with them.
    """
    twin = socket.socket(type=socket.SOCK_DGRAM)
    try:
        twin.bind(("127.0.0.1", port))
    except OSError:
        twin.close()
        return False
    twin.detach()  # open for as long as the process runs
    return True
