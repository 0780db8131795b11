"""Docker: whether it answers, its version and that of Compose, and what its kernel can limit."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

from deploy.admin.findings import Finding, error, ok, warning

MIN_ENGINE, MIN_COMPOSE, MIN_RUNC = (20, 10), (2, 24), (1, 1, 6)
SECONDS = 20
PUBLISHED = re.compile(r":(\d+)->")


def run_docker(*arguments: str) -> tuple[int, str]:
    """Return the exit status and the output of a command of docker; status 127 where there is none."""
    try:
        done = subprocess.run(  # noqa: S603  # fixed arguments
            ["docker", *arguments],  # noqa: S607  # wherever it is installed
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except FileNotFoundError:
        return 127, "docker is not installed"
    except (OSError, subprocess.TimeoutExpired) as failure:
        return 1, str(failure)
    return done.returncode, done.stdout if done.returncode == 0 else f"{done.stdout}{done.stderr}"


def read_engine() -> tuple[dict[str, Any], list[Finding]]:
    """Return what the engine says of itself, or nothing, and why."""
    status, text = run_docker("info", "--format", "{{json .}}")
    info: dict[str, Any] = json.loads(text) if status == 0 and text.startswith("{") else {}
    errors = "\n".join(info.get("ServerErrors") or []) or ("" if info else text)
    return ({}, [explain_failure(status, errors)]) if errors else (info, [])


def explain_failure(status: int, text: str) -> Finding:
    """Return why the engine does not answer, and what to do."""
    if status == 127:  # noqa: PLR2004  # a shell's status for a missing program
        return error("docker", "docker is not installed", "Install Docker with Compose, or use ./run up without it.")
    if "permission denied" in text.lower():
        return error(
            "docker",
            "this user may not talk to the engine",
            "Run: sudo usermod -aG docker $USER, and log in again (its members have the rights of root).",
        )
    lines = [line for line in text.splitlines() if line and not line.startswith("{")] or ["no answer"]
    return error("docker", f"the engine does not answer: {lines[0]}", "Start it: sudo systemctl start docker")


def check_versions(info: Mapping[str, Any], compose: str, runc: str) -> Iterator[Finding]:
    """Yield whether the versions are new enough; those of Compose and runc are as the programs print them."""
    engine = str(info.get("ServerVersion", ""))
    if parse_version(engine) < MIN_ENGINE:
        yield error("docker", f"the engine {engine} is too old", "Install 20.10 or newer.")
    else:
        yield ok("docker", f"engine {engine}")
    if not compose:
        yield error("compose", "Compose is not installed", "Install the plugin: apt install docker-compose-plugin")
    elif parse_version(compose) < MIN_COMPOSE:
        yield error("compose", f"{compose.strip()} is too old", "Install 2.24 or newer.")
    else:
        yield ok("compose", compose.strip())
    if runc and parse_version(runc) < MIN_RUNC:
        yield warning(
            "runc",
            f"{runc} fails to restart some containers (mkdir ...: Permission denied)",
            "Install 1.1.6 or newer, or recreate such a container: docker compose up -d --force-recreate frontend",
        )


def check_limits(info: Mapping[str, Any], variables: Mapping[str, str]) -> Iterator[Finding]:
    """Yield which limits of containers would be an error or have no effect."""
    cpus, wanted = int(info.get("NCPU", 1)), variables.get("DARKROOM_WORKER_CPUS", "1")
    try:
        is_too_many = float(wanted) > cpus
    except ValueError:
        yield error("limits", "DARKROOM_WORKER_CPUS: should be a number", "Set it to 1.")
    else:
        if is_too_many:
            yield error("limits", f"DARKROOM_WORKER_CPUS: the machine has only {cpus}", f"Set at most {cpus}.")
    if not info.get("CpuCfsQuota", True):
        yield error(
            "limits", "the kernel cannot limit CPUs, so containers do not start", "Enable CONFIG_CFS_BANDWIDTH."
        )
    if not info.get("MemoryLimit", True):
        yield warning(
            "limits",
            "the kernel cannot limit memory: one large image can take all of it",
            "Enable the memory cgroup: cgroup_enable=memory on the kernel's command line.",
        )
    if not info.get("PidsLimit", True):
        yield warning("limits", "the kernel cannot limit processes", "Enable the pids cgroup.")


def parse_version(text: str) -> tuple[int, ...]:
    """Return the first version in a text: (2, 26, 1) of `Docker Compose version v2.26.1-4`."""
    match = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    return tuple(int(part) for part in match.groups() if part) if match else (0,)


def read_versions(info: Mapping[str, Any]) -> tuple[str, str]:
    """Return what Compose and runc print of their versions; empty if unknown. The engine knows only runc's commit."""
    status, compose = run_docker("compose", "version", "--short")
    components = run_docker("version", "--format", "{{json .Server.Components}}")[1]
    listed = json.loads(components) if components.startswith("[") else []
    runc = next((each["Version"] for each in listed if each["Name"] == info.get("DefaultRuntime", "runc")), "")
    return compose if status == 0 else "", runc


def read_own_ports(project: str) -> set[int]:
    """Return the ports that our own containers have published."""
    text = run_docker("ps", "--filter", f"label=com.docker.compose.project={project}", "--format", "{{.Ports}}")[1]
    return {int(port) for port in PUBLISHED.findall(text)}
