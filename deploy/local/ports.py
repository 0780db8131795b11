"""TCP ports on the loopback address."""

from __future__ import annotations

import random
import socket

# Below the ephemeral range of every system. A client that keeps connecting to a stopped server on an ephemeral port can
# get that port as its own source port. It then connects to itself, and the server cannot bind the port again.
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
    """Return the preferred port if it is free, else a random free one, reserved for this process."""
    if preferred and is_free(preferred):
        return preferred
    candidates = (random.choice(FREE) for _ in FREE)  # noqa: S311  # not a secret
    return next(port for port in candidates if is_free(port) and _reserve(port))


def _reserve(port: int) -> bool:
    """Reserve the port for the lifetime of this process: also before its server listens and while that restarts.

    The reservation is the UDP port of the same number, which nothing uses. The system lets only one process bind it.
    """
    reservation = socket.socket(type=socket.SOCK_DGRAM)
    try:
        reservation.bind(("127.0.0.1", port))
    except OSError:
        reservation.close()
        return False
    reservation.detach()  # the socket stays open until the process ends
    return True
