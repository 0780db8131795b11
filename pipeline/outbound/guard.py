"""The guard: which addresses may be connected to. Names that resolve to any other address are refused."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address

from pipeline.outbound.addresses import IpAddress, is_metadata_service, is_public
from pipeline.outbound.allow_list import parse_allowed
from pipeline.outbound.errors import OutboundRefused
from pipeline.outbound.urls import Target, parse_url
from pipeline.outbound_settings import OutboundSettings

_LOOPBACK = IPv4Address("127.0.0.1")


class Guard:
    """Checks targets, and the addresses that their names resolve to."""

    def __init__(self, settings: OutboundSettings) -> None:
        self._schemes = settings.schemes
        self._ports = settings.ports
        self._allowed = tuple(map(parse_allowed, settings.allow))

    def check_target(self, target: Target) -> None:
        """Check all that shows without a look-up: scheme, port, and the address if it is literal."""
        if target.scheme not in self._schemes:
            raise OutboundRefused(
                f"The address should begin with {' or '.join(f'{each}://' for each in self._schemes)}."
            )
        host = target.host
        if isinstance(host, str):
            is_local = host == "localhost" or host.endswith(".localhost")
            self._check_name(host, target.port, ip=_LOOPBACK if is_local else None)
        else:
            self._check_ip(host, target.port)

    def check_resolved(self, target: Target, addresses: Iterable[IpAddress]) -> None:
        """Refuse a name if any of its addresses is refused: one that has both is not taken for an honest one."""
        for ip in addresses:
            if isinstance(target.host, str):
                self._check_name(target.host, target.port, ip=ip)
            else:
                self._check_ip(ip, target.port)

    def _check_name(self, name: str, port: int, *, ip: IpAddress | None) -> None:
        is_known = any(each.place == name and each.has_port(port, self._ports) for each in self._allowed)
        if is_known and (ip is None or not is_metadata_service(ip)):
            return
        if ip is not None:
            self._check_ip(ip, port)
        elif port not in self._ports and not self._has_network_port(port):
            raise OutboundRefused(f"Port {port} may not be connected to.")

    def _check_ip(self, ip: IpAddress, port: int) -> None:
        if any(each.covers(ip) and each.has_port(port, self._ports) for each in self._allowed):
            return
        if not is_public(ip) and not any(each.covers(ip) for each in self._allowed):
            raise OutboundRefused("The address is not one on the Internet.")
        if not is_public(ip) or port not in self._ports:
            raise OutboundRefused(f"Port {port} may not be connected to.")

    def _has_network_port(self, port: int) -> bool:
        """Whether a name may turn out to be in an allowed network, which has this port."""
        return any(not isinstance(each.place, str) and each.has_port(port, self._ports) for each in self._allowed)


def check_url(url: str, settings: OutboundSettings) -> None:
    """Check an address without a look-up: syntax, scheme, port, a literal IP address. OutboundRefused if refused."""
    Guard(settings).check_target(parse_url(url))
