"""Addresses that clients name, taken apart strictly: what is checked is exactly what is connected to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv6Address
from urllib.parse import quote

from pipeline.outbound.addresses import IpAddress
from pipeline.outbound.errors import OutboundRefused
from pipeline.outbound.hosts import parse_host

MAX_URL = 8192
PORTS = 2**16
DEFAULT_PORTS = {"http": 80, "https": 443}
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)([^?#]*)(\?[^#]*)?(?:#.*)?")
_AUTHORITY = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]+)(?::([0-9]{1,5}))?")
_SAFE = "!#$%&'()*+,/:;=?@[]~"


@dataclass(frozen=True)
class Target:
    """Where a request goes."""

    scheme: str
    host: str | IpAddress
    port: int
    path: str
    """With the query, percent-encoded: what stands in the request line."""

    @property
    def host_text(self) -> str:
        """The host as in a URL: IPv6 in brackets."""
        return f"[{self.host}]" if isinstance(self.host, IPv6Address) else str(self.host)

    @property
    def authority(self) -> str:
        """The host, and the port unless it is the scheme's own: the field `Host`."""
        return self.host_text if DEFAULT_PORTS.get(self.scheme) == self.port else f"{self.host_text}:{self.port}"

    @property
    def origin(self) -> tuple[str, str | IpAddress, int]:
        """What decides whether another target is the same server."""
        return self.scheme, self.host, self.port

    @property
    def url(self) -> str:
        """The whole address, without a fragment."""
        return f"{self.scheme}://{self.authority}{self.path}"


def parse_url(url: str) -> Target:
    """Take an http or https address apart. OutboundRefused says what is wrong with it."""
    if len(url) > MAX_URL:
        raise OutboundRefused(f"The address is longer than {MAX_URL} characters.")
    if not url.isprintable() or "\\" in url or any(map(str.isspace, url)):
        raise OutboundRefused("The address contains spaces, control characters or backslashes.")
    parts = _URL.fullmatch(url)
    scheme = parts[1].lower() if parts else ""
    if not parts or scheme not in DEFAULT_PORTS:
        raise OutboundRefused("The address should begin with https:// or http://.")
    host, port = _parse_authority(parts[2])
    path = quote((parts[3] or "/") + (parts[4] or ""), safe=_SAFE)
    return Target(scheme, host, DEFAULT_PORTS[scheme] if port is None else port, path)


def _parse_authority(text: str) -> tuple[str | IpAddress, int | None]:
    if "@" in text:
        raise OutboundRefused("The address should contain no user name and no password.")
    parts = _AUTHORITY.fullmatch(text)
    if not parts:
        raise OutboundRefused("The address should name a host, and perhaps a port.")
    port = None if parts[2] is None else int(parts[2])
    if port is not None and not 0 < port < PORTS:
        raise OutboundRefused("The address should have a port from 1 to 65535.")
    try:
        return parse_host(parts[1]), port
    except ValueError as error:
        raise OutboundRefused(f"The address {error}.") from error
