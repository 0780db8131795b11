"""Hosts of their own on this machine: network namespaces, each on its own cable to one switch; needs root and Linux."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest

from tests.support.programs import run_afterwards

NETWORK = "198.18"  # kept for tests of networks (RFC 2544, RFC 6890)


@dataclass(frozen=True)
class Host:
    """A network namespace with one address, and what it takes to pull its cable."""

    name: str
    address: str
    bridge_interface: str  # the switch's end of its cable

    def command(self, *words: str) -> tuple[str, ...]:
        """Return a command that runs these words on the host."""
        return ("ip", "netns", "exec", self.name, *words)

    def cut_off(self) -> None:
        """Pull the cable: nothing gets through, and nobody is told."""
        _ip("link", "set", self.bridge_interface, "down")

    def reconnect(self) -> None:
        """Plug it in again."""
        _ip("link", "set", self.bridge_interface, "up")


@dataclass(frozen=True)
class Network:
    """A switch that the main host, on which the tests run, and the others are plugged into."""

    address: str  # of the main host
    hosts: tuple[Host, ...]


@contextmanager
def create_network(*names: str) -> Iterator[Network]:
    """Make hosts until the block ends. Where this user or this system makes none, the test is skipped."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("network namespaces need Linux and root")
    if shutil.which("ip") is None:
        reason = "ip is not installed: Debian's iproute2 has it"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    mark = f"{os.getpid() % 0xFFFF:04x}"  # interfaces have short names, and other processes their own hosts
    subnet = _unused_subnet()
    with ExitStack() as made:
        _or_skip(made, ("link", "add", f"dr{mark}", "type", "bridge"), ("link", "delete", f"dr{mark}"))
        _ip("address", "add", f"{subnet}.1/24", "dev", f"dr{mark}")
        _ip("link", "set", f"dr{mark}", "up")
        hosts = tuple(
            _host(made, Host(f"darkroom-{mark}-{name}", f"{subnet}.{number}", f"dr{mark}-{number}"), f"dr{mark}")
            for number, name in enumerate(names, start=2)
        )
        yield Network(f"{subnet}.1", hosts)


def _host(made: ExitStack, host: Host, switch: str) -> Host:
    """Make a host: its namespace, and its cable to the switch, which ends with it."""
    _or_skip(made, ("netns", "add", host.name), ("netns", "delete", host.name))
    _ip("link", "add", host.bridge_interface, "type", "veth", "peer", "name", "eth0", "netns", host.name)
    _ip("link", "set", host.bridge_interface, "master", switch, "up")
    _ip("-n", host.name, "address", "add", f"{host.address}/24", "dev", "eth0")
    for device in ("lo", "eth0"):
        _ip("-n", host.name, "link", "set", device, "up")
    return host


def _unused_subnet() -> str:
    """Return the first three numbers of addresses that this machine has none of."""
    taken = _ip("-o", "-4", "address")
    candidates = (f"{NETWORK}.{random.randrange(256)}" for _ in range(1000))  # noqa: S311  # not a secret
    return next(subnet for subnet in candidates if f" {subnet}." not in taken)


def _or_skip(made: ExitStack, add: tuple[str, ...], remove: tuple[str, ...]) -> None:
    """Add what a kernel or a container's rights may not allow, and remove it in the end, also where we are killed."""
    try:
        _ip(*add)
    except subprocess.CalledProcessError as refusal:
        pytest.skip(f"no network of its own: {refusal.stderr.strip()}")
    made.enter_context(run_afterwards("ip", *remove))


def _ip(*words: str) -> str:
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout


def bind_to(command: tuple[str, ...], address: str) -> tuple[str, ...]:
    """Return a server's command so that it listens on an address of the network, and on nothing else."""
    return tuple(address if word == "127.0.0.1" else word for word in command)
