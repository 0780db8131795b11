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
    """Reserve the port for as long as this process runs: before a server listens on it and while that restarts.

    The reservation is the UDP port of the same number, which nobody uses. The system gives it to one process only.
    """
    reservation = socket.socket(type=socket.SOCK_DGRAM)
    try:
        reservation.bind(("127.0.0.1", port))
    except OSError:
        reservation.close()
        return False
    reservation.detach()  # open for as long as the process runs
    return True
