"""What the doctor says of a machine, by what the machine says of itself."""

from __future__ import annotations

import ast
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from deploy.admin.doctor import engine, machine, ports
from deploy.admin.doctor.variables import read_variables
from deploy.admin.findings import Finding, Level
from deploy.generate.worker_memory import container_mib, image_mib
from deploy.local.up import CHOICES
from pipeline.routing import OUTBOUND_QUEUES, QUEUES
from pipeline.settings import Settings
from stages.limits import Limits
from tests.support.fast_yaml import load
from tests.support.prometheus_config import ROOT

MIB, GIB = 2**20, 2**30
SHARED = ("deploy/admin/findings.py", "deploy/local/home.py")
PROGRAM = [*(ROOT / "deploy/admin/doctor").glob("*.py"), *(ROOT / name for name in SHARED)]
ROUTES = """\
Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT
eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
"""
VPN = "tun0\t0000D50A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"  # 10.213.0.0/16
INFO = {"ServerVersion": "28.0.1", "NCPU": 4, "CpuCfsQuota": True, "MemoryLimit": True, "PidsLimit": True}


def levels(findings: Any) -> list[Level]:
    return [finding.level for finding in findings]


@pytest.fixture
def free_ports() -> dict[str, str]:
    """A free port for everything."""
    servers = [socket.create_server(("127.0.0.1", 0)) for _ in ports.PORTS]
    numbers = {each.variable: str(server.getsockname()[1]) for each, server in zip(ports.PORTS, servers, strict=True)}
    for server in servers:
        server.close()
    return numbers


@pytest.mark.parametrize("file", PROGRAM, ids=lambda path: path.stem)
def test_the_doctor_is_written_for_old_pythons_and_the_standard_library(file: Path) -> None:
    tree = ast.parse(file.read_text(encoding="utf-8"), feature_version=(3, 9))
    imported = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}

    ours = ("deploy.admin.doctor", "deploy.admin.findings", "deploy.local.home")
    assert all(name.split(".")[0] in sys.stdlib_module_names or name.startswith(ours) for name in imported)


@pytest.mark.parametrize(
    ("total", "available", "level"),
    [
        (8 * GIB, 6 * GIB, Level.OK),
        (8 * GIB, 0, Level.OK),
        (2 * GIB, 3 * GIB // 2, Level.WARNING),
        (8 * GIB, 500 * MIB, Level.WARNING),
        (900 * MIB, 800 * MIB, Level.ERROR),
    ],
)
def test_memory_is_compared_with_what_was_measured(total: int, available: int, level: Level) -> None:
    assert levels(machine.check_memory(total, available, needed_mib=machine.PEAK_MIB)) == [level]


def test_the_settings_for_a_small_machine_fit_each_other() -> None:
    small = machine.SMALL_SETTINGS
    limits = Limits(
        pixels=int(small["DARKROOM_LIMITS__PIXELS"]),
        animation_pixels=int(small["DARKROOM_LIMITS__ANIMATION_PIXELS"]),
    )
    image = int(small["DARKROOM_WORK__MAX_IMAGE_MEMORY_MIB"])

    assert max(image_mib(queue, Settings(limits=limits)) for queue in QUEUES) <= image
    deployment = (ROOT / "deploy" / "docs" / "DEPLOYMENT.md").read_text(encoding="utf-8")
    assert "\n".join(f"{name}={value}" for name, value in small.items()) in deployment
    assert small["DARKROOM_NORMALIZE_CONCURRENCY"] == small["DARKROOM_RESIZE_CONCURRENCY"] == "1"
    assert container_mib(1, image) <= int(small["DARKROOM_WORKER_MEMORY"].rstrip("m"))
    assert {small[f"DARKROOM_{queue.upper()}_CONCURRENCY"] for queue in OUTBOUND_QUEUES} == {"1"}


@pytest.mark.parametrize(
    ("needed", "roomy", "level"),
    [(0.0, 0.0, Level.OK), (0.0, 1e9, Level.WARNING), (1e9, 1e9, Level.ERROR)],
)
def test_a_disk_is_that_of_the_folder_also_before_this_exists(
    needed: float, roomy: float, level: Level, tmp_path: Path
) -> None:
    findings = list(machine.check_disk(tmp_path / "later" / "blobs", needed_gib=needed, roomy_gib=roomy))

    assert levels(findings) == [level]
    assert str(tmp_path) in findings[0].text


@pytest.mark.parametrize(
    ("kind", "flags", "level"),
    [
        ("x86_64", "flags\t\t: fpu sse4_2 avx", Level.OK),
        ("x86_64", "flags\t\t: fpu sse4_2 avx avx2", Level.OK),
        ("x86_64", "flags\t\t: fpu sse4_2 avx2", Level.ERROR),
        ("x86_64", "", Level.OK),
        ("aarch64", "Features\t: fp asimd", Level.OK),
    ],
)
def test_a_processor_without_avx_is_told_before_mongodb_dies_of_it(kind: str, flags: str, level: Level) -> None:
    assert levels(machine.check_processor(kind, flags)) == [level]


@pytest.mark.parametrize(
    ("version", "has_venv", "level"),
    [((3, 11, 2), True, Level.OK), ((3, 9, 2), True, Level.ERROR), ((3, 13, 0), False, Level.ERROR)],
)
def test_a_python_must_be_new_and_complete(version: tuple[int, ...], *, has_venv: bool, level: Level) -> None:
    assert levels(machine.check_python(version, has_venv=has_venv)) == [level]


def test_the_clock_is_looked_at() -> None:
    assert set(levels(machine.check_clock())) <= {Level.OK, Level.WARNING}


def test_memory_is_read_from_this_machine() -> None:
    total, available = machine.read_memory()

    assert 0 <= available <= total
    assert total


def test_free_ports_are_told_in_one_line(free_ports: dict[str, str]) -> None:
    assert levels(ports.check_ports(free_ports, own=())) == [Level.OK]


def test_a_port_in_use_is_told_with_the_variable_that_changes_it(free_ports: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", int(free_ports["DARKROOM_GRAFANA_PORT"]))):
        findings = list(ports.check_ports(free_ports, own=()))

    assert levels(findings) == [Level.ERROR]
    assert "DARKROOM_GRAFANA_PORT=" in findings[0].action


def test_a_port_that_our_own_containers_have_is_no_mistake(free_ports: dict[str, str]) -> None:
    number = int(free_ports["DARKROOM_PORT"])
    with socket.create_server(("127.0.0.1", number)):
        assert levels(ports.check_ports(free_ports, own={number})) == [Level.OK]


@pytest.mark.parametrize(
    "changes",
    [{"DARKROOM_UI_PORT": "http"}, {"DARKROOM_UI_PORT": "0"}, {"DARKROOM_BIND": "192.0.2.1", "DARKROOM_PORT": "20000"}],
)
def test_ports_and_addresses_that_cannot_be_are_errors(changes: dict[str, str], free_ports: dict[str, str]) -> None:
    assert Level.ERROR in levels(ports.check_ports(free_ports | changes, own=()))


def test_the_port_of_a_service_that_is_off_may_be_in_use(free_ports: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", int(free_ports["DARKROOM_ALERTMANAGER_PORT"]))):
        assert levels(ports.check_ports(free_ports, own=())) == [Level.OK]
        for profiles in ("backups, alerts", "*"):
            switched_on = free_ports | {"COMPOSE_PROFILES": profiles}
            assert levels(ports.check_ports(switched_on, own=())) == [Level.ERROR]


def test_two_services_on_one_port_are_an_error(free_ports: dict[str, str]) -> None:
    same = {"DARKROOM_UI_PORT": free_ports["DARKROOM_PORT"]}

    assert levels(ports.check_ports(free_ports | same, own=())) == [Level.ERROR]


def test_up_replaces_a_port_in_use_unless_a_variable_sets_it(free_ports: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", int(free_ports["DARKROOM_UI_PORT"]))):
        assert levels(ports.check_ports_of_up(free_ports, is_running=False)) == [Level.ERROR]
        assert levels(ports.check_ports_of_up(free_ports, is_running=True)) == [Level.OK]


def test_the_ports_are_those_of_compose_and_of_up() -> None:
    services = load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    published = {port for service in services.values() for port in service.get("ports", [])}
    container = {"DARKROOM_UI_PORT": 8000}

    assert published == {
        f"${{{port.bind}:-127.0.0.1}}:${{{port.variable}:-{port.default}}}:{container.get(port.variable, port.default)}"
        for port in ports.PORTS
    }
    of_up = {choice.variable: choice for choice in CHOICES.values()}
    assert all(of_up[port.variable].default_port == port.default for port in ports.PORTS[:3])
    assert [name for name, choice in of_up.items() if not choice.is_replaceable] == list(ports.FIXED_PORTS)


@pytest.mark.parametrize(
    ("variables", "routes", "level"),
    [
        ({}, ROUTES, Level.OK),
        ({}, "", Level.OK),
        ({}, ROUTES + VPN, Level.WARNING),
        ({"DARKROOM_FRONT_NET": "10.99.7"}, ROUTES + VPN, Level.OK),
        ({"DARKROOM_FRONT_NET": "192.168.1"}, ROUTES, Level.WARNING),
        ({"DARKROOM_FRONT_NET": "10.99.7.0/24"}, ROUTES, Level.ERROR),
    ],
)
def test_a_network_in_use_is_told(variables: dict[str, str], routes: str, level: Level) -> None:
    assert levels(ports.check_network(variables, routes)) == [level]


@pytest.mark.parametrize(
    ("status", "text", "expected"),
    [
        (127, "", "not installed"),
        (1, "Got permission denied while trying to connect to the Docker daemon socket", "may not talk to the engine"),
        (1, '{"ID":""}\nCannot connect to the Docker daemon. Is it running?\nerrors', "Cannot connect to the Docker"),
    ],
)
def test_an_engine_that_does_not_answer_is_explained(status: int, text: str, expected: str) -> None:
    finding = engine.explain_failure(status, text)

    assert finding.level == Level.ERROR
    assert expected in finding.text
    assert finding.action


@pytest.mark.parametrize(
    ("version", "compose", "runc", "expected"),
    [
        ("28.0.1", "2.35.1", "1.2.5", [Level.OK, Level.OK]),
        ("20.10.24+dfsg1", "2.24.0", "1.1.6", [Level.OK, Level.OK]),
        ("19.03.8", "2.24.0", "", [Level.ERROR, Level.OK]),
        ("28.0.1", "2.23.3", "", [Level.OK, Level.ERROR]),
        ("28.0.1", "", "", [Level.OK, Level.ERROR]),
        ("20.10.24", "v2.26.1", "1.1.5+ds1", [Level.OK, Level.OK, Level.WARNING]),
    ],
)
def test_versions_are_compared(version: str, compose: str, runc: str, expected: list[Level]) -> None:
    assert levels(engine.check_versions(INFO | {"ServerVersion": version}, compose, runc)) == expected


@pytest.mark.parametrize(
    ("changes", "variables", "expected"),
    [
        ({}, {}, []),
        ({}, {"DARKROOM_WORKER_CPUS": "8"}, [Level.ERROR]),
        ({}, {"DARKROOM_WORKER_CPUS": "all"}, [Level.ERROR]),
        ({"CpuCfsQuota": False}, {}, [Level.ERROR]),
        ({"MemoryLimit": False, "PidsLimit": False}, {}, [Level.WARNING, Level.WARNING]),
    ],
)
def test_limits_that_the_kernel_does_not_keep_are_told(
    changes: dict[str, bool], variables: dict[str, str], expected: list[Level]
) -> None:
    assert levels(engine.check_limits(INFO | changes, variables)) == expected


def test_variables_are_read_from_the_file_unless_the_environment_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text(
        '# a comment\n#DARKROOM_TAG=x\nDARKROOM_PORT=1\nexport DARKROOM_BIND = "0.0.0.0"\nDARKROOM_UI_PORT=\nx\n'
    )
    monkeypatch.setenv("DARKROOM_PORT", "2")

    variables = read_variables(tmp_path / ".env")

    assert {name: variables.get(name) for name in ("DARKROOM_PORT", "DARKROOM_BIND", "DARKROOM_UI_PORT")} == {
        "DARKROOM_PORT": "2",
        "DARKROOM_BIND": "0.0.0.0",  # noqa: S104
        "DARKROOM_UI_PORT": None,
    }


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=8001 # the API", "8001"),
        ('A="8001" # the API', "8001"),
        ("A='a # b'", "a # b"),
        ("A=10.99.7#x", "10.99.7#x"),
        ("A: 0.5\r", "0.5"),
        ("A=# nothing but a comment", "# nothing but a comment"),
        ('A={"small": 160}', '{"small": 160}'),
        ("A=x=y", "x=y"),
    ],
)
def test_lines_of_the_file_are_read_as_compose_reads_them(line: str, value: str, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"{line}\n", newline="")

    assert read_variables(tmp_path / ".env")["A"] == value


def test_findings_are_not_lost_when_docker_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")

    info, findings = engine.read_engine()

    assert not info
    assert [type(finding) for finding in findings] == [Finding]
