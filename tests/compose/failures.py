"""What the stack promises while parts of it are scaled, killed, restarted and replaced, and after it was all lost."""

from __future__ import annotations

import time
from pathlib import Path

from tests.compose.failed import expect
from tests.compose.load import LoadGenerator, wait_until
from tests.compose.project import Project
from tests.compose.steady import check_prometheus_targets

# Waits until a child is at work, then kills the main process of the container, the first after init.
KILL = """
import os, pathlib, re, time
from deploy.compose import health
pids = sorted(int(name) for name in os.listdir("/proc") if name.isdecimal())
main = next(p for p in pids if p > 1 and b"-m\\0pipeline\\0" in pathlib.Path(f"/proc/{p}/cmdline").read_bytes())
deadline = time.monotonic() + 60
while not re.search(rb"worker_tasks_active{.*} [1-9]", health.fetch(9100, "/metrics")[1]):
    assert time.monotonic() < deadline
os.kill(main, 9)
"""


def scale(project: Project, load: LoadGenerator) -> str:
    """Three containers of the resize pool, by a line in .env: all work, Prometheus finds them, the others stay."""

    def others() -> list[str]:
        return [each["Id"] for name in ("gateway", "frontend", "worker-normalize") for each in project.containers(name)]

    before = others()
    (project.site / ".env").write_text("DARKROOM_RESIZE_REPLICAS=3\n", encoding="utf-8")
    project.start()
    expect(others() == before, "the size of a pool recreated containers of others")
    found = check_prometheus_targets(project)

    def workers() -> set[str]:
        jobs = [load.job(task_id) for task_id in load.accepted[-30:]]
        names = {str(job["stages"]["small"]["worker"]) for job in jobs if job["stages"]["small"]["worker"]}
        return names if len({name.split("@")[-1].split(":")[0] for name in names}) >= 3 else set()

    wait_until(workers, "jobs by three containers", 120)
    return found


def kill_worker(project: Project, load: LoadGenerator, photo: Path) -> str:
    """A worker's container dies at work, and is started again by the engine."""
    before = project.containers("worker-normalize")[0]
    for _ in range(10):
        load.upload(photo.read_bytes())
    project.python("worker-normalize", KILL)

    def returned() -> bool:
        now = project.containers("worker-normalize")[0]
        restarted = now["State"]["StartedAt"] != before["State"]["StartedAt"]
        return bool(restarted and now["State"]["Health"]["Status"] == "healthy")

    wait_until(returned, "worker-normalize healthy again", 120)
    load.wait_for_more_done(3, 180)
    return "started again by itself"


def restart(project: Project, load: LoadGenerator, service: str) -> str:
    """A store or the frontend is stopped and started; work goes on by itself."""
    started = time.monotonic()
    project.compose("restart", service)
    project.start("--no-recreate")
    load.wait_for_more_done(3, 180)
    return f"{time.monotonic() - started:.0f} s to three jobs more done"


def refuse_unknown_version(project: Project) -> str:
    """A version that was never published is an error, and nothing is replaced."""
    before = {found["Id"] for found in project.containers()}
    project.environment["DARKROOM_TAG"] = "1.0.O"
    failed = project.compose("up", "-d", check=False).returncode
    del project.environment["DARKROOM_TAG"]
    expect(failed != 0, "a version that there is none of was started")
    expect({found["Id"] for found in project.containers()} == before, "containers were replaced")
    return f"exit status {failed}, nothing replaced"


def upgrade(project: Project, load: LoadGenerator) -> str:
    """Another version in place of every image of ours, as the docs say; the stores go on, and so does the scale."""
    project.publish("1.1.0")
    project.fetch("1.1.0")
    return _replace(project, load, "1.1.0")


def roll_back(project: Project, load: LoadGenerator) -> str:
    """The previous version again, by its file."""
    project.fetch("1.0.0")
    return _replace(project, load, "1.0.0")


def _replace(project: Project, load: LoadGenerator, version: str) -> str:
    """Replace what runs by the version whose file is there."""
    before = {found["Id"] for found in project.containers()}
    started = time.monotonic()
    project.start("gateway", "frontend")  # first, or they would wait until every worker has stopped
    project.start()
    gateway = project.containers("gateway")[0]
    expect(gateway["Id"] not in before, "the gateway was not replaced")
    for store in ("redis", "mongo"):
        expect(project.containers(store)[0]["Id"] in before, f"{store} was replaced, too")
    revision = gateway["Config"]["Labels"]["org.opencontainers.image.revision"]
    expect(revision == version, f"the gateway runs revision {revision!r}")
    pools = len(project.containers("worker-resize"))
    expect(pools == 3, f"{pools} containers resize")
    load.wait_for_more_done(3, 180)
    pause = load.longest_pause(started)
    return f"every container of ours replaced, the stores not; at most {pause:.0f} s between two uploads taken"


def check_all_done(load: LoadGenerator) -> str:
    """Every job that was accepted meanwhile is done."""
    ends = load.wait_for_all_ended()
    expect(set(ends) == {"done"}, f"jobs ended {dict(ends)}")
    again = sum(stage["attempts"] > 1 for task_id in load.accepted for stage in load.job(task_id)["stages"].values())
    refused = ", ".join(f"{count} times {why}" for why, count in load.refused.items()) or "none"
    return f"{ends['done']} jobs answered 202, all done; {again} stages ran again; others refused: {refused}"


def lose_and_restore(project: Project, load: LoadGenerator, folder: Path) -> str:
    """A backup, all volumes destroyed, the backup restored: the same previews."""
    known = {task_id: load.previews(task_id) for task_id in [load.accepted[0], *load.accepted[-10:]]}
    archive = folder / "darkroom.tar"
    with archive.open("wb") as stream:
        said = project.compose("run", "--rm", "-T", "backup", "save", stdout=stream).stderr.decode()
    project.compose("--profile", "*", "down", "-v", "-t", "30")
    with archive.open("rb") as stream:
        project.compose("run", "--rm", "-T", "backup", "restore", stdin=stream)
    project.start()
    for task_id, previews in known.items():
        expect(load.previews(task_id) == previews, f"{task_id} has other previews than before")
    saved = said.strip().splitlines()[-1]
    return f"{saved}; {archive.stat().st_size / 1e6:.0f} MB; {len(known)} jobs compared, byte by byte"
