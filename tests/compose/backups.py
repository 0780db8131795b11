"""A scheduled backup, made while photos come in, brings everything back after all volumes are lost."""

from __future__ import annotations

import json
from pathlib import Path

import httpx

from tests.compose.failed import expect
from tests.compose.load import LoadGenerator, wait_until
from tests.compose.project import Project

MAKE_SECONDS = 300


class ScheduledBackup:
    """The profile `backups`, which keeps them in a folder of this machine."""

    def __init__(self, project: Project, load: LoadGenerator, folder: Path) -> None:
        self._project, self._load, self._folder = project, load, folder / "backups"
        self._before: dict[str, dict[str, bytes]] = {}

    def make(self) -> str:
        """Switch the profile on, under load: the first backup is made at once, the service is healthy."""
        self._folder.mkdir()
        self._folder.chmod(0o777)  # the container's user is nobody here
        self._project.environment |= {"COMPOSE_PROFILES": "backups", "DARKROOM_BACKUP_FOLDER": str(self._folder)}
        self._load.wait_for_more_done(3, 180)
        done = [task_id for task_id in self._load.accepted if self._load.job(task_id)["status"] == "done"]
        self._before = {task_id: self._load.previews(task_id) for task_id in done[-5:]}
        self._project.start("--no-recreate", "backups")
        (archive,) = wait_until(lambda: list(self._folder.glob("darkroom-*.tar")), "a backup", MAKE_SECONDS)
        verified = self._project.compose("run", "--rm", "-T", "backup", "verify", "latest").stdout.decode().strip()
        deadline = "darkroom_backup_deadline_timestamp_seconds"
        wait_until(lambda: self._ask(f"{deadline} > time()"), "Prometheus to know when the next one is due", 90)
        return f"{verified}; {archive.stat().st_size / 1e6:.0f} MB"

    def restore(self) -> str:
        """All volumes destroyed, the newest backup of the folder restored: the same previews."""
        self._project.compose("--profile", "*", "down", "-v", "-t", "30")
        restored = self._project.compose("run", "--rm", "-T", "backup", "restore", "latest").stdout.decode().strip()
        self._project.start()
        for task_id, previews in self._before.items():
            expect(self._load.previews(task_id) == previews, f"{task_id} has other previews than before")
        listed = self._load.client.get("/jobs", params={"limit": 1}).raise_for_status().json()
        expect(bool(listed["jobs"]), "no job is listed")
        return f"{restored}; {len(self._before)} jobs compared, byte by byte"

    def _ask(self, expression: str) -> object:
        url = f"{self._project.url('prometheus')}/api/v1/query"
        return json.loads(httpx.get(url, params={"query": expression}).content)["data"]["result"]
