"""Tries docker-compose.yml from nothing to restored: `./run compose-test`; where there is no engine, it says so."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from deploy.local.interrupts import interrupt_once
from deploy.local.sample import draw_sample
from tests.compose import drills, failures, steady
from tests.compose.backups import ScheduledBackup
from tests.compose.failed import CheckFailed
from tests.compose.load import LoadGenerator
from tests.compose.project import SMALL_DISK, Project, explain_missing_engine
from tests.compose.registry import find_registry, run_registry

Check = tuple[str, Callable[[], str]]


def steady_checks(project: Project, load: LoadGenerator, folder: Path) -> list[Check]:
    """List what is tried first: a sentence, and the check that returns what it saw."""
    return [
        ("a start from nothing", partial(steady.start, project)),
        ("a photo, through nginx", partial(steady.upload, load, folder)),
        ("addresses", partial(steady.check_published_ports, project)),
        ("Prometheus' targets, all up", partial(steady.check_prometheus_targets, project)),
        ("Flower and Grafana", partial(steady.check_tools, project)),
        ("refused", partial(steady.check_access, project)),
        ("the check of the settings", partial(steady.check_settings, project)),
        ("what a worker reaches", partial(steady.check_separation, project)),
        ("who may go out", partial(steady.check_ways_out, project)),
    ]


def failure_checks(project: Project, load: LoadGenerator, folder: Path) -> list[Check]:
    """List what is tried while photos come in without a pause."""
    return [
        ("resize scaled to three", partial(failures.scale, project, load)),
        ("a worker killed at work", partial(failures.kill_worker, project, load, folder / steady.SAMPLE)),
        ("the frontend restarted", partial(failures.restart, project, load, "frontend")),
        ("Redis restarted", partial(failures.restart, project, load, "redis")),
        ("MongoDB restarted", partial(failures.restart, project, load, "mongo")),
        ("a mistyped version", partial(failures.refuse_unknown_version, project)),
        ("an upgrade in place", partial(failures.upgrade, project, load)),
        ("a roll-back in place", partial(failures.roll_back, project, load)),
    ]


def final_checks(project: Project, load: LoadGenerator, folder: Path) -> list[Check]:
    """List what is tried at the end."""
    return [
        ("nothing lost", partial(failures.check_all_done, load)),
        ("Prometheus' targets, all up again", partial(steady.check_prometheus_targets, project)),
        ("commands that Redis denied us", partial(steady.check_redis_denials, project)),
        ("backup, loss, restore", partial(failures.lose_and_restore, project, load, folder)),
    ]


def run_checks(checks: list[Check]) -> None:
    """Do one after another, and tell how long each took."""
    for sentence, check in checks:
        started = time.monotonic()
        print(f"{sentence} ...", flush=True)
        found = check()
        print(f"  ok, {time.monotonic() - started:.1f} s: {found}", flush=True)


def run_all(project: Project, load: LoadGenerator, folder: Path) -> None:
    """Keep every promise, from a start from nothing to a restored backup."""
    backup = ScheduledBackup(project, load, folder)
    run_checks(steady_checks(project, load, folder))
    with load.keep_uploading():
        run_checks([("a scheduled backup", backup.make), *failure_checks(project, load, folder)])
    run_checks([*final_checks(project, load, folder), ("loss, restore of the scheduled backup", backup.restore)])


def run_drills(project: Project, load: LoadGenerator, folder: Path, names: list[str]) -> None:
    """Cause faults, wait for their alerts, do what the runbook says; print a table."""
    project.over = [SMALL_DISK]
    steady.start(project)
    photo = draw_sample(folder / steady.SAMPLE)
    for row in drills.run_drills(project, load, photo, names):
        print(row, flush=True)


def main() -> int:
    """Try everything; exit status 1 at the first promise that is not kept. All is taken down in any case."""
    parser = argparse.ArgumentParser(prog="./run compose-test", description=__doc__)
    parser.add_argument(
        "--drills", nargs="*", metavar="WORD", help="cause faults, those with a word in their name or all"
    )
    chosen = parser.parse_args()
    if missing := explain_missing_engine():
        print(f"compose-test: skipped: {missing}, so there is no engine to run containers")
        return 0
    started = time.monotonic()
    with ExitStack() as stack:
        stack.enter_context(interrupt_once())
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="darkroom-compose-test-")))
        registry = stack.enter_context(run_registry(folder)) if find_registry() else ""
        if not registry:
            print("(docker-registry is not installed: images are not pushed and pulled)")
        project = Project(folder, registry)
        load = LoadGenerator(project.url("frontend"))
        if not project.detect_mongo_users():
            print("(the image mongo:8 here is one without mongod, hence without users: its passwords are not tried)")
        try:
            if chosen.drills is None:
                run_all(project, load, folder)
            else:
                run_drills(project, load, folder, chosen.drills)
        except CheckFailed as broken:
            print(f"  BROKEN: {broken}", flush=True)
            print(project.compose("ps", "-a", check=False).stdout.decode(), flush=True)
            return 1
        finally:
            print("taking it down ...", flush=True)
            project.remove()
    print(f"compose-test: every promise kept, in {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
