"""Clients of the guard that may use servers of this machine, and names that resolve as a test says."""

from __future__ import annotations

import socket
from typing import Any

from pipeline.outbound.client import Answer, OutboundClient
from pipeline.outbound_settings import OutboundSettings

ALLOWED = "127.0.0.1:*"
"""Of this machine, only this address: 127.0.0.2 is as private as all others."""
SECONDS = 60.0


class Names:
    """Resolves names to one answer after the other; the last one stays."""

    def __init__(self, **answers: list[list[str]]) -> None:
        self._answers = {name.replace("_", "."): list(given) for name, given in answers.items()}
        self.asked: list[str] = []

    def __call__(self, name: str, port: int, **_: object) -> list[tuple[Any, ...]]:
        """Answer like `socket.getaddrinfo`."""
        self.asked.append(name)
        given = self._answers.get(name)
        if not given:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        addresses = given.pop(0) if len(given) > 1 else given[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]


def create_client(
    names: Names | None = None, *, allow: tuple[str, ...] = (ALLOWED,), proxy: str = ""
) -> OutboundClient:
    """Return a client whose names are only those given."""
    return OutboundClient(OutboundSettings(allow=allow, proxy=proxy), resolve=names or Names())


def post(client: OutboundClient, url: str, *, seconds: float = SECONDS, max_answer_bytes: int = 1000) -> Answer:
    """Send a small event."""
    headers = {"Content-Type": "application/json", "Authorization": "Bearer secret"}
    return client.post(url, b'{"a": 1}', headers, seconds=seconds, max_answer_bytes=max_answer_bytes)


def download(
    client: OutboundClient,
    url: str,
    *,
    headers: dict[str, str] | None = None,
    seconds: float = SECONDS,
    idle_seconds: float = SECONDS,
    max_redirects: int = 3,
) -> Answer:
    """Return what an address has, read to its end."""
    with client.get(
        url, headers=headers, seconds=seconds, idle_seconds=idle_seconds, max_redirects=max_redirects
    ) as found:
        return Answer(found.status, found.headers, b"".join(found.chunks()))
