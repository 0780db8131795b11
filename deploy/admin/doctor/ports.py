"""The ports that the page, the API and the tools would listen on, and the network of the containers."""

from __future__ import annotations

import errno
import socket
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from deploy.admin.findings import Finding, error, ok, warning

FRONT_NET = "10.213.77"


@dataclass(frozen=True)
class Port:
    """A port: of what, which variable sets it, and which one its address."""

    of: str
    variable: str
    default: int
    bind: str
    profile: str = ""
    """The profile of docker-compose.yml that its service needs."""


PORTS = (
    Port("the page", "DARKROOM_UI_PORT", 8000, "DARKROOM_BIND"),
    Port("the API", "DARKROOM_PORT", 8001, "DARKROOM_BIND"),
    Port("Flower", "DARKROOM_FLOWER_PORT", 5555, "DARKROOM_TOOLS_BIND"),
    Port("Prometheus", "DARKROOM_PROMETHEUS_PORT", 9090, "DARKROOM_TOOLS_BIND"),
    Port("Grafana", "DARKROOM_GRAFANA_PORT", 3000, "DARKROOM_TOOLS_BIND"),
    Port("Alertmanager", "DARKROOM_ALERTMANAGER_PORT", 9093, "DARKROOM_TOOLS_BIND", "alerts"),
)
"""What docker-compose.yml publishes."""
FIXED_PORTS = ("DARKROOM_PORT",)
"""What `./run up` replaces by no other port, unless a variable sets one."""


def check_ports(variables: Mapping[str, str], *, own: Collection[int]) -> Iterator[Finding]:
    """Yield a finding for each port that another program uses; `own` are those that Darkroom has already."""
    taken = False
    seen: dict[int, str] = {}
    profiles = {"", *(name.strip() for name in variables.get("COMPOSE_PROFILES", "").split(","))}

    for port in (each for each in PORTS if profiles & {each.profile, "*"}):
        text = variables.get(port.variable, str(port.default))
        number = int(text) if text.isdecimal() else 0
        if not 0 < number < 1 << 16:
            yield error("ports", f"{port.variable}: should be a port number", f"Set it to {port.default}.")
        elif number in seen:
            yield error("ports", f"{port.variable} and {seen[number]} are both {number}", "Choose another for one.")
        elif number not in own and (reason := _find_reason(variables.get(port.bind, "127.0.0.1"), number)):
            yield error(
                "ports", f"{number}, for {port.of}, {reason}", f"Set another: {port.variable}={number % 65_000 + 10}"
            )
        else:
            seen[number] = port.variable
            continue
        taken = True
    if not taken:
        yield ok("ports", f"{', '.join(map(str, seen))} are free" + (", or our own" if own else ""))


def check_ports_of_up(variables: Mapping[str, str], *, is_running: bool) -> Iterator[Finding]:
    """Yield a finding for each port in use that `./run up` would not replace by another."""
    if is_running:
        yield ok("ports", "a `./run up` is running, and has them")
        return
    fixed = [port for port in PORTS[:3] if port.variable in (*FIXED_PORTS, *variables)]
    loopback = {name: value for name, value in variables.items() if not name.endswith("_BIND")}
    findings = [
        finding
        for finding in check_ports(loopback, own=())
        if any(port.variable in f"{finding.text} {finding.action}" for port in fixed)
    ]
    yield from findings
    if not findings:
        yield ok("ports", "free, or replaced by others")


def _find_reason(address: str, port: int) -> str:
    """Return why a server could not listen there; empty if it could, or if the address is not for us to try."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
            probe.listen()
        except OSError as failure:
            if failure.errno == errno.EADDRINUSE:
                return "is in use by another program"
            if failure.errno == errno.EADDRNOTAVAIL:
                return f"cannot be published: this machine has no address {address}"
        return ""


def check_network(variables: Mapping[str, str], routes: str) -> Iterator[Finding]:
    """Yield a finding if another network has the addresses of the containers' own. `routes` is /proc/net/route."""
    first = variables.get("DARKROOM_FRONT_NET", FRONT_NET)
    try:
        ours = IPv4Network(f"{first}.0/24")
    except ValueError:
        yield error("network", "DARKROOM_FRONT_NET: should be three numbers", f"Set it to {FRONT_NET}.")
        return
    for line in routes.splitlines()[1:]:
        interface, destination, _, _, _, _, _, mask, *_ = line.split()
        length = bin(int(mask, 16)).count("1")  # noqa: FURB161  # bit_count() came with Python 3.10
        theirs = IPv4Network((_address(destination), length), strict=False)

        if theirs.prefixlen and theirs.overlaps(ours):
            yield warning(
                "network",
                f"{theirs} of {interface} overlaps {ours}, unless it is the network of Darkroom's containers",
                "Set another: DARKROOM_FRONT_NET=10.99.7",
            )
            return
    yield ok("network", f"{ours} is free")


def _address(hexadecimal: str) -> int:
    """Return the address that the kernel writes in the order of this machine, which is little endian."""
    return int.from_bytes(bytes.fromhex(hexadecimal), "little")


def read_routes() -> str:
    """Return the kernel's table of routes; empty where there is none."""
    file = Path("/proc/net/route")
    return file.read_text(encoding="ascii") if file.exists() else ""
