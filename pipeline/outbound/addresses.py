"""Which IP addresses are on the Internet, as the same table on every version of Python.

Sources: the IANA registries of special-purpose IPv4 and IPv6 addresses, RFC 6890 and RFC 6052. `ipaddress.is_global`
alone does not do: its tables differ between releases of Python 3.11 to 3.13, and it holds multicast, 192.88.99.0/24,
NAT64 and tunnels to be global.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

IpAddress = IPv4Address | IPv6Address
IpNetwork = IPv4Network | IPv6Network

_NOT_PUBLIC_V4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this host: Linux connects to itself
            "10.0.0.0/8",
            "100.64.0.0/10",  # carrier-grade NAT
            "127.0.0.0/8",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",  # relays of 6to4
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",
            "240.0.0.0/4",  # with 255.255.255.255
        ),
    )
)
_GLOBAL_V6 = IPv6Network("2000::/3")
"""All global unicast addresses. Outside are ::/8 with ::1 and embedded IPv4, fc00::/7, fe80::/9 and ff00::/8."""
_NOT_PUBLIC_V6 = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # protocol assignments, with Teredo, which contains an IPv4 address
            "2001:db8::/32",
            "2002::/16",  # 6to4, which contains an IPv4 address
            "3fff::/20",
        ),
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")
METADATA_SERVICES: frozenset[IpAddress] = frozenset(
    map(
        ip_address,
        (
            "169.254.169.254",  # most clouds
            "169.254.170.2",  # AWS: tasks, and the next one pods
            "169.254.170.23",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd20:ce::254",  # Google
            "100.100.100.200",  # Alibaba
            "168.63.129.16",  # Azure: public, but each virtual machine reaches its own host there
            "192.0.0.192",  # Oracle
        ),
    )
)
"""Services that give out credentials of the machine."""


def unwrap(ip: IpAddress) -> IpAddress:
    """Return the IPv4 address that an IPv6 address stands for (`::ffff:a.b.c.d`, NAT64), else the address itself."""
    if isinstance(ip, IPv4Address):
        return ip
    if ip.ipv4_mapped:
        return ip.ipv4_mapped
    return IPv4Address(int(ip) & 0xFFFF_FFFF) if ip in _NAT64 else ip


def is_metadata_service(ip: IpAddress) -> bool:
    """Whether the address, or the one that it stands for, gives out credentials."""
    return unwrap(ip) in METADATA_SERVICES


def is_public(ip: IpAddress) -> bool:
    """Whether the address is on the Internet, and nothing of this host or its networks."""
    ip = unwrap(ip)
    if ip in METADATA_SERVICES or not ip.is_global:
        return False
    if isinstance(ip, IPv4Address):
        return not any(ip in network for network in _NOT_PUBLIC_V4)
    return ip.scope_id is None and ip in _GLOBAL_V6 and not any(ip in network for network in _NOT_PUBLIC_V6)
