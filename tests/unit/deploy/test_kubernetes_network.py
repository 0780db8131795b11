"""Who may talk to whom in the cluster: those who must, and nobody else."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis.strategies import ip_addresses

from deploy.generate.kustomize import Manifest, render
from pipeline.outbound.addresses import is_public
from pipeline.outbound_settings import OutboundSettings
from pipeline.routing import OUTBOUND_QUEUES, QUEUES
from tests.support.prometheus_config import ROOT

HERE = ROOT / "deploy" / "kubernetes" / "overlays"
OVERLAYS = {name: render(HERE / name) for name in ("small", "production")}
LABEL = "app.kubernetes.io/component"
ELSEWHERE = "elsewhere"
POLICIES = {
    name: [each["spec"] for each in manifests if each["kind"] == "NetworkPolicy"]
    for name, manifests in OVERLAYS.items()
}


def labels_of(who: str) -> dict[str, str]:
    """Return the labels of the pods of a component, or of a pool of workers."""
    return {LABEL: "worker", "darkroom/queue": who} if who in QUEUES else {LABEL: who}


def chosen(selector: dict[str, Any], who: str) -> bool:
    """Whether a selector of labels chooses the pods of a component or of a pool."""
    labels = labels_of(who)
    wanted = all(labels.get(name) == value for name, value in selector.get("matchLabels", {}).items())
    return wanted and all(labels.get(each["key"]) in each["values"] for each in selector.get("matchExpressions", []))


def admitted(peer: dict[str, Any], who: str) -> bool:
    """Whether one side of a rule means a component, an address, or something `elsewhere`."""
    if who == ELSEWHERE:
        return "ipBlock" in peer
    if "ipBlock" in peer and (address := _address(who)):
        block = peer["ipBlock"]
        excepted = any(address in ip_network(each) for each in block.get("except", []))
        return address in ip_network(block["cidr"]) and not excepted
    return "podSelector" in peer and "namespaceSelector" not in peer and chosen(peer["podSelector"], who)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def may_ask(overlay: str, asking: str, asked: str, port: int) -> bool:
    """Whether both ends let a connection pass; whoever is elsewhere is no concern of ours."""
    out = _passes(overlay, asking, "egress", "to", asked, port)
    is_inside = asked != ELSEWHERE and not _address(asked)
    return out and (not is_inside or _passes(overlay, asked, "ingress", "from", asking, port))


def _passes(overlay: str, here: str, way: str, side: str, there: str, port: int) -> bool:
    policies = [each for each in POLICIES[overlay] if chosen(each["podSelector"], here)]
    given = [rule for each in policies for rule in each.get(way, [])]
    return any(
        port in [each["port"] for each in rule["ports"]] and any(admitted(peer, there) for peer in rule[side])
        for rule in given
    )


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_nobody_may_do_anything_unless_it_is_said(overlay: str) -> None:
    assert {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]} in POLICIES[overlay]


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize(
    ("asking", "asked", "port", "may"),
    [
        ("frontend", "gateway", 8001, True),
        *((queue, "gateway", 8001, False) for queue in QUEUES),
        ("flower", "gateway", 8001, False),
        ("gateway", "resize", 9100, False),
        ("frontend", "flower", 5555, False),
        ("validate", "resize", 9100, False),
        ("validate", "fetch", 9100, False),
        ("fetch", "validate", 9100, False),
        ("notify", "frontend", 8000, False),
        ("resize", "frontend", 8081, False),
        ("gateway", "frontend", 8081, False),
        ("notify", "flower", 5555, False),
    ],
)
def test_only_the_frontend_asks_the_gateway(overlay: str, asking: str, asked: str, port: int, *, may: bool) -> None:
    assert may_ask(overlay, asking, asked, port) is may


@pytest.mark.parametrize(
    ("asking", "stores"),
    [
        ("gateway", {"redis", "mongo"}),
        *((queue, {"redis", "mongo"}) for queue in QUEUES),
        ("flower", {"redis"}),
        ("backup", {"mongo"}),
        ("frontend", set()),
        ("redis", set()),
    ],
)
def test_only_those_who_need_a_store_reach_it(asking: str, stores: set[str]) -> None:
    ports = {"redis": 6379, "mongo": 27017}

    assert {name for name, port in ports.items() if may_ask("small", asking, name, port)} == stores


@pytest.mark.parametrize(
    ("asking", "ports"),
    [
        ("gateway", {6379, 27017, 443}),
        ("validate", {6379, 27017, 443}),
        ("fetch", {6379, 27017, 443, 80}),
        ("notify", {6379, 27017, 443, 80}),
        ("flower", {6379}),
        ("backup", {27017, 443}),
        ("frontend", set()),
    ],
)
def test_in_production_the_stores_are_elsewhere(asking: str, ports: set[int]) -> None:
    assert {port for port in (80, 443, 6379, 27017) if may_ask("production", asking, ELSEWHERE, port)} == ports


PUBLIC = ("93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c")
INSIDE = (
    *("10.0.0.1", "172.16.0.1", "172.31.255.254", "192.168.1.1", "100.64.0.1", "100.127.255.254", "127.0.0.1"),
    *("169.254.169.254", "0.0.0.0", "192.0.0.192", "198.18.0.1", "224.0.0.251", "255.255.255.255"),  # noqa: S104
    *("::", "::1", "::127.0.0.1", "64:ff9b::a00:1", "64:ff9b:1::1", "2002:a00:1::1", "fc00::1", "fd00:ec2::254"),
    *("fe80::1", "ff02::1", "168.63.129.16"),
)


@pytest.mark.parametrize("asking", [*QUEUES, "gateway", "frontend", "flower", "redis"])
def test_only_those_who_fetch_and_notify_reach_the_internet(asking: str) -> None:
    reached = {(address, port) for address in PUBLIC for port in (80, 443) if may_ask("small", asking, address, port)}

    assert len(reached) == (4 if asking in OUTBOUND_QUEUES else 0)


@pytest.mark.parametrize("asking", OUTBOUND_QUEUES)
@pytest.mark.parametrize("address", INSIDE)
def test_those_who_reach_the_internet_reach_no_address_inside(asking: str, address: str) -> None:
    ports = (80, 443, 8001, 8080, 8443, 6379, 27017)

    assert [port for port in ports if may_ask("small", asking, address, port)] == []


@given(address=ip_addresses())
def test_an_address_that_the_guard_refuses_is_not_reached_by_another_way(address: IPv4Address | IPv6Address) -> None:
    assert is_public(address) or not may_ask("small", "fetch", str(address), 443)


@given(address=ip_addresses(v=4))
def test_every_address_on_the_internet_is_reached(address: IPv4Address) -> None:
    assert may_ask("small", "notify", str(address), 443) == is_public(address)


@pytest.mark.parametrize("asking", OUTBOUND_QUEUES)
def test_the_ports_of_what_goes_out_are_those_of_the_settings(asking: str) -> None:
    ports = {port for port in range(1, 10_000) if may_ask("small", asking, PUBLIC[0], port)}

    assert ports == set(OutboundSettings().ports)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_component_can_look_names_up_at_name_servers_only(overlay: str) -> None:
    rules = [rule for each in POLICIES[overlay] for rule in each.get("egress", []) if 53 in _ports_of(rule)]
    policies = [each for each in POLICIES[overlay] if rules[0] in each.get("egress", [])]

    assert [each["podSelector"] for each in policies] == [{}]
    assert [{(each["port"], each["protocol"]) for each in rule["ports"]} for rule in rules] == [
        {(53, "UDP"), (53, "TCP")}
    ]
    assert [_name_server(peer) for peer in rules[0]["to"]] == [
        "kube-dns or node-local-dns in kube-system",
        "169.254.20.10/32",  # NodeLocal DNSCache on the network of the node
        "169.254.169.254/32",  # GKE with Cloud DNS
    ]


def _ports_of(rule: dict[str, Any]) -> set[int]:
    return {each["port"] for each in rule["ports"]}


def _name_server(peer: dict[str, Any]) -> str:
    if "ipBlock" in peer:
        return str(peer["ipBlock"]["cidr"])
    (chosen_pods,) = peer["podSelector"]["matchExpressions"]
    namespace = peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
    return f"{' or '.join(chosen_pods['values'])} in {namespace}"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_service_leads_to_a_port_that_a_pod_has(overlay: str) -> None:
    pods = [each for each in OVERLAYS[overlay] if each["kind"] in {"Deployment", "StatefulSet"}]
    services = [each for each in OVERLAYS[overlay] if each["kind"] == "Service"]

    for service in services:
        assert service["spec"]["ports"][0]["targetPort"] in _ports(pods, service["spec"]["selector"][LABEL])


def _ports(pods: list[Manifest], component: str) -> set[str]:
    return {
        port["name"]
        for each in pods
        if each["metadata"]["labels"][LABEL] == component
        for container in each["spec"]["template"]["spec"]["containers"]
        for port in container["ports"]
    }
