"""Tries docker-compose.yml from nothing to restored: `./run compose-test`; where there is no engine, it says so."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from deploy.compose_test import calm, storm
from deploy.compose_test.load import Load
from deploy.compose_test.project import Broken, Project, engine_missing
from deploy.interrupts import interrupted_once

Act = tuple[str, Callable[[], str]]


def calm_acts(project: Project, load: Load, folder: Path) -> list[Act]:
    """List what is tried first: a sentence, and the act that returns what it saw."""
    return [
        ("a start from nothing", partial(calm.start, project)),
        ("a photo, through nginx", partial(calm.upload, load, folder)),
        ("addresses", partial(calm.addresses, project)),
        ("Prometheus' targets, all up", partial(calm.targets, project)),
        ("Flower and Grafana", partial(calm.tools, project)),
        ("refused", partial(calm.strangers, project)),
    ]


def storm_acts(project: Project, load: Load, folder: Path) -> list[Act]:
    """List what is tried while photos come in without a pause."""
    return [
        ("resize scaled to three", partial(storm.scale, project, load)),
        ("a worker killed at work", partial(storm.kill_worker, project, load, folder / calm.SAMPLE)),
        ("Redis restarted", partial(storm.restart, project, load, "redis")),
        ("MongoDB restarted", partial(storm.restart, project, load, "mongo")),
        ("an upgrade in place", partial(storm.upgrade, project, load)),
    ]


def last_acts(project: Project, load: Load, folder: Path) -> list[Act]:
    """List what is tried at the end."""
    return [
        ("nothing lost", partial(storm.settle, load)),
        ("Prometheus' targets, all up again", partial(calm.targets, project)),
        ("commands that Redis denied us", partial(calm.denials, project)),
        ("backup, loss, restore", partial(storm.lose_and_restore, project, load, folder)),
    ]


def play(acts: list[Act]) -> None:
    """Do one after another, and tell how long each took."""
    for sentence, act in acts:
        started = time.monotonic()
        print(f"{sentence} ...", flush=True)
        found = act()
        print(f"  ok, {time.monotonic() - started:.1f} s: {found}", flush=True)


def main() -> int:
    """Try everything; exit status 1 at the first promise that is not kept. All is taken down in any case."""
    argparse.ArgumentParser(prog="./run compose-test", description=__doc__).parse_args()
    if missing := engine_missing():
        print(f"compose-test: skipped: {missing}, so there is no engine to run containers")
        return 0
    started = time.monotonic()
    with interrupted_once(), TemporaryDirectory(prefix="darkroom-compose-test-") as made:
        folder = Path(made)
        project = Project(folder)
        load = Load(project.url("frontend"))
        if not project.look_at_mongo():
            print("(the image mongo:8 here is one without mongod, hence without users: its passwords are not tried)")
        try:
            play(calm_acts(project, load, folder))
            with load.running():
                play(storm_acts(project, load, folder))
            play(last_acts(project, load, folder))
        except Broken as broken:
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
