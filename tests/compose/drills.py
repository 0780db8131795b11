"""Faults that an operator meets: which alert fires after how long, and what the runbook's own lines do then."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.compose.failed import CheckFailed, expect
from tests.compose.load import LoadGenerator, wait_until
from tests.compose.project import ROOT, Project

RUNBOOK = ROOT / "deploy" / "docs" / "RUNBOOK.md"
FIRING_SECONDS = 900
RESOLVED_SECONDS = 900
POOL = re.compile(r"worker-[a-z]+")
FILL = """
import redis; from pipeline.settings import Settings
client = redis.Redis.from_url(Settings().redis_url)
try:
    for number in range(10 ** 6):
        client.set(f"ballast:{number}", b"x" * 2 ** 19)
except redis.OutOfMemoryError:
    pass
"""
DISK = "/var/lib/darkroom/blobs"
FILL_DISK = f"""
import os
with open("{DISK}/ballast", "wb") as file:
    free = os.statvfs("{DISK}").f_bavail * os.statvfs("{DISK}").f_frsize
    os.posix_fallocate(file.fileno(), 0, free)
"""


@dataclass(frozen=True, kw_only=True)
class Drill:
    """One fault: what causes it, the alert that must fire, where it is seen, and what ends it.

    `lines` are commands that the runbook has under the alert, word for word, with `worker-resize` for the name of any
    pool; `repair` is what it says in words.
    """

    fault: str
    cause: Callable[[Project], object]
    alert: str
    panel: str
    lines: tuple[str, ...] = ()
    repair: Callable[[Project], object] | None = None
    uploads: int = 0  # made meanwhile; each must be done in the end


def pause(service: str) -> Callable[[Project], object]:
    """Freeze all processes of a service."""
    return lambda project: project.compose("pause", service)


def kill(service: str) -> Callable[[Project], object]:
    """End a service so that the engine does not start it again."""
    return lambda project: project.compose("kill", service)


def run_python(service: str, code: str) -> Callable[[Project], object]:
    """Run Python in a container of the service; it must succeed."""

    def run(project: Project) -> None:
        done = project.python(service, code)
        expect(done.returncode == 0, done.stderr.decode(errors="replace")[-500:])

    return run


DRILLS = (
    Drill(
        fault="a pool is killed",
        cause=kill("worker-resize"),
        alert="QueueWithoutWorker",
        panel="Workers: Workers up",
        lines=("docker compose up -d worker-resize",),
        uploads=3,
    ),
    Drill(
        fault="MongoDB is frozen",
        cause=pause("mongo"),
        alert="DependencyDown",
        panel="Gateway: Stores up",
        lines=("docker compose restart mongo",),
    ),
    Drill(
        fault="Redis is full",
        cause=run_python("gateway", FILL),
        alert="RedisNearlyFull",
        panel="Pipeline: Memory of Redis",
        lines=(
            "printf '%s\\n' DARKROOM_REDIS_MEMORY=1gb DARKROOM_REDIS_CONTAINER_MEMORY=2g >>.env",
            "docker compose up -d redis",
        ),
        uploads=3,
    ),
    Drill(
        fault="normalize is frozen",
        cause=pause("worker-normalize"),
        alert="WorkerDown",
        panel="Workers: Busy",
        lines=("docker compose restart worker-normalize",),
        uploads=3,
    ),
    Drill(
        fault="the frontend is down",
        cause=kill("frontend"),
        alert="FrontendDown",
        panel="Gateway: Gateways and frontend up",
        lines=("docker compose up -d frontend",),
    ),
    Drill(
        fault="the blob disk is full",
        cause=run_python("gateway", FILL_DISK),
        alert="BlobStoreFull",
        panel="Gateway: Blob disk, free",
        repair=run_python("gateway", f"import os; os.remove('{DISK}/ballast')"),
    ),
    Drill(
        fault="a queue is filled",
        cause=lambda project: project.compose("pause", "worker-validate"),
        alert="OldestMessageTooOld",
        panel="Workers: Oldest message",
        lines=("docker compose restart worker-validate",),
        uploads=40,
    ),
)


class Operator:
    """Somebody who has Prometheus and the runbook, in the folder of the one who runs the stack."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.prometheus = httpx.Client(base_url=project.url("prometheus"), timeout=10)

    def firing(self) -> dict[str, str]:
        """Return the runbook's address of each alert that fires, by its name."""
        found = self.prometheus.get("/api/v1/alerts").raise_for_status().json()["data"]["alerts"]
        return {
            alert["labels"]["alertname"]: alert["annotations"]["runbook_url"]
            for alert in found
            if alert["state"] == "firing"
        }

    def follow(self, alert: str, line: str) -> None:
        """Run a line of the runbook. Raises `CheckFailed` if it is not in the alert's section."""
        expect(has_line(alert, line), f"the runbook has no {line!r} under {alert}")
        environment = self.project.environment | {
            "COMPOSE_PROJECT_NAME": self.project.name,
            "COMPOSE_FILE": os.pathsep.join(str(file) for file in self.project.files()),
        }
        command = ["sh", "-c", line]
        done = subprocess.run(command, check=False, cwd=self.project.site, env=environment, capture_output=True)
        expect(done.returncode == 0, f"{line!r} failed: {done.stderr.decode(errors='replace')[-500:]}")


def read_section(alert: str) -> str:
    """Return what the runbook says about an alert."""
    text = RUNBOOK.read_text(encoding="utf-8")
    found = re.search(rf"^### {alert}\n(.*?)(?=^##)", text, re.MULTILINE | re.DOTALL)
    if found is None:
        raise CheckFailed(f"the runbook has no section {alert}")
    return found[1]


def has_line(alert: str, line: str) -> bool:
    """Whether the runbook has this line under the alert, for some pool."""
    return POOL.sub("worker-resize", line) in read_section(alert)


def run_drill(project: Project, load: LoadGenerator, photo: Path, drill: Drill) -> str:
    """Cause the fault, wait for the alert, do what the runbook says; return a row of the table."""
    operator = Operator(project)
    wait_until(lambda: drill.alert not in operator.firing(), f"no {drill.alert} before", RESOLVED_SECONDS)
    drill.cause(project)
    caused = time.monotonic()
    task_ids = [load.upload(photo.read_bytes()) for _ in range(drill.uploads)]
    wait_until(lambda: drill.alert in operator.firing(), f"the alert {drill.alert}", FIRING_SECONDS)
    fired = time.monotonic() - caused
    others = sorted(operator.firing().keys() - {drill.alert})
    for line in drill.lines:
        operator.follow(drill.alert, line)
    if drill.repair:
        drill.repair(project)
    repaired = time.monotonic()
    wait_until(lambda: drill.alert not in operator.firing(), f"the end of {drill.alert}", RESOLVED_SECONDS)
    resolved = time.monotonic() - repaired
    for task_id in task_ids:
        wait_until(lambda task_id=task_id: load.job(task_id)["status"] == "done", f"{task_id} done", 300)  # type: ignore[misc]
    beside = f" (and {', '.join(others)})" if others else ""
    runbook = "; ".join(f"`{line}`" for line in drill.lines) or "in words"
    return f"| {drill.fault} | {drill.alert}{beside} | {fired:.0f} | {drill.panel} | {runbook} | {resolved:.0f} |"


def run_drills(project: Project, load: LoadGenerator, photo: Path, names: list[str]) -> Iterator[str]:
    """Yield the table, row by row; a drill that fails is a row, too."""
    yield "| fault | alert | fires after, s | panel | runbook | ends after, s |"
    yield "|---|---|---|---|---|---|"
    for drill in DRILLS:
        if not names or any(name in drill.fault for name in names):
            yield run_drill(project, load, photo, drill)
