"""Who may talk to whom in the cluster: those who must, and nobody else."""

from __future__ import annotations

from typing import Any

import pytest

from deploy.generate.kustomize import Manifest, render
from tests.support.prometheus_config import ROOT

HERE = ROOT / "deploy" / "kubernetes" / "overlays"
OVERLAYS = {name: render(HERE / name) for name in ("small", "production")}
LABEL = "app.kubernetes.io/component"
ELSEWHERE = "elsewhere"
POLICIES = {
    name: [each["spec"] for each in manifests if each["kind"] == "NetworkPolicy"]
    for name, manifests in OVERLAYS.items()
}


def chosen(selector: dict[str, Any], component: str) -> bool:
    """Whether a selector of labels chooses the pods of a component."""
    wanted = selector.get("matchLabels", {}).get(LABEL, component) == component
    return wanted and all(component in each["values"] for each in selector.get("matchExpressions", []))


def admitted(peer: dict[str, Any], component: str) -> bool:
    """Whether one side of a rule means a component, or what is `elsewhere`."""
    if component == ELSEWHERE:
        return "ipBlock" in peer
    return "podSelector" in peer and "namespaceSelector" not in peer and chosen(peer["podSelector"], component)


def may_ask(overlay: str, asking: str, asked: str, port: int) -> bool:
    """Whether both ends let a connection pass; whoever is elsewhere is no concern of ours."""
    out = _passes(overlay, asking, "egress", "to", asked, port)
    return out and (asked == ELSEWHERE or _passes(overlay, asked, "ingress", "from", asking, port))


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
        ("worker", "gateway", 8001, False),
        ("flower", "gateway", 8001, False),
        ("gateway", "worker", 9100, False),
        ("frontend", "flower", 5555, False),
        ("worker", "worker", 9100, False),
        ("worker", "frontend", 8000, False),
        ("worker", "frontend", 8081, False),
        ("gateway", "frontend", 8081, False),
        ("worker", "flower", 5555, False),
    ],
)
def test_only_the_frontend_asks_the_gateway(overlay: str, asking: str, asked: str, port: int, *, may: bool) -> None:
    assert may_ask(overlay, asking, asked, port) is may


@pytest.mark.parametrize(
    ("asking", "stores"),
    [
        ("gateway", {"redis", "mongo"}),
        ("worker", {"redis", "mongo"}),
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
        ("worker", {6379, 27017, 443}),
        ("flower", {6379}),
        ("backup", {27017, 443}),
        ("frontend", set()),
    ],
)
def test_in_production_the_stores_are_elsewhere(asking: str, ports: set[int]) -> None:
    assert {port for port in (80, 443, 6379, 27017) if may_ask("production", asking, ELSEWHERE, port)} == ports


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
