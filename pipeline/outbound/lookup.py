"""Looks names up in bounded time: `getaddrinfo` has no limit of its own and cannot be interrupted."""

from __future__ import annotations

import socket
from collections.abc import Callable
from concurrent.futures import Future
from ipaddress import ip_address
from threading import BoundedSemaphore, Thread
from typing import Any

from pipeline.outbound.addresses import IpAddress
from pipeline.outbound.deadline import Deadline
from pipeline.outbound.errors import OutboundFailed, OutboundTimeout

Resolve = Callable[..., list[tuple[Any, ...]]]
"""`socket.getaddrinfo`, or what is called and answers like it."""

MAX_LOOKUPS = 32
"""Look-ups of this process at a time, with those that nobody waits for any more."""

_running = BoundedSemaphore(MAX_LOOKUPS)


def look_up(
    host: str | IpAddress, port: int, *, deadline: Deadline, resolve: Resolve = socket.getaddrinfo
) -> list[IpAddress]:
    """Return the addresses of a host, each once, in the order of preference. OutboundError if there are none."""
    if not isinstance(host, str):
        return [host]
    if not _running.acquire(timeout=deadline.next_wait()):
        raise OutboundTimeout("The look-up of the host took too long.")
    found: Future[list[tuple[Any, ...]]] = Future()
    try:
        Thread(target=_resolve, args=(found, resolve, host, port), name="look-up", daemon=True).start()
    except BaseException:
        _running.release()
        raise
    try:
        entries = found.result(timeout=deadline.next_wait())
    except TimeoutError as error:
        raise OutboundTimeout("The look-up of the host took too long.") from error
    except (OSError, UnicodeError) as error:
        raise OutboundFailed("The host of the address is not known.") from error
    addresses = list(dict.fromkeys(ip_address(entry[4][0]) for entry in entries))
    if not addresses:
        raise OutboundFailed("The host of the address is not known.")
    return addresses


def _resolve(found: Future[list[tuple[Any, ...]]], resolve: Resolve, name: str, port: int) -> None:
    try:
        found.set_result(resolve(name, port, type=socket.SOCK_STREAM))
    except Exception as error:  # noqa: BLE001  # whoever waits gets it
        found.set_exception(error)
    finally:
        _running.release()
