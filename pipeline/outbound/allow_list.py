"""Hosts and networks inside that may be connected to all the same."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv6Network, ip_network

from pipeline.outbound.addresses import IpAddress, IpNetwork, is_metadata_service, unwrap
from pipeline.outbound.hosts import parse_host

PORTS = 2**16
ANY_PORT = "*"
EXAMPLE = "such as hooks.internal, hooks.internal:9000, 10.1.0.0/16, 127.0.0.0/8:* or [fd00::1]:9000"
_ENTRY = re.compile(r"(?P<place>\[[^\[\]]+\]|[^\[\]:]+)(?::(?P<port>[0-9]{1,5}|\*))?")
_BARE_V6 = re.compile(r"[0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f:.]*(?:/[0-9]{1,3})?")


@dataclass(frozen=True)
class AllowedPlace:
    """One entry: a name or a network, and a port, any port (`*`), or None: those of the setting `ports`."""

    place: str | IpNetwork
    port: int | str | None

    def covers(self, ip: IpAddress) -> bool:
        """Whether the address is in the network. A metadata service is only if the entry is exactly its address."""
        network, ip = self.place, unwrap(ip)
        if isinstance(network, str) or ip.version != network.version or ip not in network:
            return False
        return not is_metadata_service(ip) or network.num_addresses == 1

    def has_port(self, port: int, ports: Iterable[int]) -> bool:
        """Whether the port is one of this entry."""
        return self.port == ANY_PORT or (port in ports if self.port is None else port == self.port)


def parse_allowed(entry: str) -> AllowedPlace:
    """Read one entry of the setting. ValueError says how to write it."""
    place, port = (entry, None) if _BARE_V6.fullmatch(entry) else _split_port(entry)
    if port == "0" or (port and port.isdecimal() and int(port) >= PORTS):
        raise ValueError(f"should have ports from 1 to 65535, {EXAMPLE}")
    number = int(port) if port and port != ANY_PORT else port
    return AllowedPlace(_parse_place(place), number)


def _split_port(entry: str) -> tuple[str, str | None]:
    parts = _ENTRY.fullmatch(entry)
    if not parts:
        raise ValueError(f"should be a host or a network, and perhaps a port, {EXAMPLE}")
    return parts["place"], parts["port"]


def _parse_place(text: str) -> str | IpNetwork:
    if text.startswith("["):
        return _parse_network(text[1:-1], IPv6Network)
    if "/" in text or ":" in text:
        return _parse_network(text, ip_network)
    try:
        host = parse_host(text)
    except ValueError as error:
        raise ValueError(f"should be a host or a network, without *, {EXAMPLE}") from error
    return host if isinstance(host, str) else ip_network(host)


def _parse_network(text: str, parse: Callable[[str], IpNetwork]) -> IpNetwork:
    if "%" in text:
        raise ValueError(f"should name networks without a zone, {EXAMPLE}")
    try:
        return parse(text)
    except ValueError as error:
        raise ValueError(f"should name networks without bits behind the prefix, {EXAMPLE}") from error


def check_allowed(entry: str) -> str:
    """Return one entry of the setting. ValueError says how to write it."""
    parse_allowed(entry)
    return entry
