"""A Compose project of its own: images built from a copy of the tree, run by the file of a published version alone."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from deploy.compose.release import compute_secrets_tag
from deploy.local.ports import free_port
from tests.compose.failed import CheckFailed
from tests.compose.registry import push

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("gateway", "pipeline", "stages", "storage", "deploy")
FILES = ("docker-compose.yml", ".dockerignore", ".env.example", "LICENSE")
IMAGES = {"gateway": "darkroom", "frontend": "darkroom-frontend", "secrets": "darkroom-secrets"}
PORTS = {
    "frontend": "DARKROOM_UI_PORT",
    "gateway": "DARKROOM_PORT",
    "flower": "DARKROOM_FLOWER_PORT",
    "prometheus": "DARKROOM_PROMETHEUS_PORT",
    "grafana": "DARKROOM_GRAFANA_PORT",
}
WITHOUT_MONGO_USERS, SMALL_DISK = "no-mongod.yml", "small-disk.yml"
OVERLAYS = [Path(__file__).resolve().parent / name for name in (WITHOUT_MONGO_USERS, SMALL_DISK)]
STARTED_SECONDS = 420  # for all to be healthy, on a slow machine


def explain_missing_engine() -> str:
    """Return why no container can be run here; empty where one can."""
    for command in (["docker", "info"], ["docker", "compose", "version"]):
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=30)
        except (OSError, subprocess.SubprocessError):
            return f"`{' '.join(command)}` does not succeed"
    return ""


class Project:
    """The stack under a name that nobody else has.

    `folder` takes the copy of the tree, and the folder of the one who runs it, with `compose.yml` and nothing else.
    `registry` is the address of one that images are pushed to and pulled from; empty: they are only on this machine.
    """

    def __init__(self, folder: Path, registry: str) -> None:
        self.tree, self.site = folder / "tree", folder / "site"
        self.site.mkdir(parents=True)
        for name in SOURCES:
            shutil.copytree(ROOT / name, self.tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in FILES:
            shutil.copy(ROOT / name, self.tree / name)
        self.name = f"darkroom-compose-test-{os.getpid()}"
        self.registry = registry
        self.namespace = f"{registry}/{self.name}" if registry else self.name
        self.built: list[str] = []
        self.ports = {service: free_port() for service in PORTS}
        self.has_mongo_users = True
        self.over: list[str] = []
        for file in OVERLAYS:  # copies, because the tree may change before the end
            shutil.copy(file, folder / file.name)
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("DARKROOM_")} | {
            "DARKROOM_FRONT_NET": f"10.214.{random.randrange(256)}",  # noqa: S311  # not a secret
            **{variable: str(self.ports[service]) for service, variable in PORTS.items()},
        }

    def publish(self, version: str) -> None:
        """Build the images from docker-compose.yml, and give them the names of a version; push them to the registry."""
        tags = dict.fromkeys(IMAGES, version) | {"secrets": compute_secrets_tag(self.tree)}
        names = {service: f"{self.namespace}/{image}:{tags[service]}" for service, image in IMAGES.items()}
        over = self.tree / "names.yml"
        over.write_text(json.dumps({"services": {service: {"image": name} for service, name in names.items()}}))
        files = ["-f", str(self.tree / "docker-compose.yml"), "-f", str(over)]
        run(
            ["docker", "compose", "--progress", "quiet", *files, "build"],
            self.environment | {"DARKROOM_REVISION": version},
        )
        self.built += names.values()
        if self.registry:
            for name in names.values():
                push(name)

    def fetch(self, version: str) -> None:
        """Write the version's `compose.yml` as its image prints it, and pull its images."""
        image = f"{self.namespace}/darkroom:{version}"
        command = ["darkroom-server", "compose", self.namespace, "--version", version]
        done = run(["docker", "run", "--rm", image, *command], self.environment)
        (self.site / "compose.yml").write_bytes(done.stdout)
        self.pull()

    def pull(self) -> None:
        """Pull our images, where they are in a registry."""
        if self.registry:
            self.compose("pull", "--policy", "missing", *IMAGES)

    def detect_mongo_users(self) -> bool:
        """Whether the image mongo:8 holds mongod, which knows users; without it the stack is run without them."""
        command = ["docker", "run", "--rm", "--entrypoint", "sh", "mongo:8", "-c", "command -v mongod"]
        self.has_mongo_users = subprocess.run(command, check=False, capture_output=True).returncode == 0
        return self.has_mongo_users

    def url(self, service: str) -> str:
        """Return where a published service is."""
        return f"http://127.0.0.1:{self.ports[service]}"

    def compose(
        self,
        *arguments: str,
        check: bool = True,
        stdin: IO[bytes] | None = None,
        stdout: IO[bytes] | int = subprocess.PIPE,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run `docker compose` on this project. When checked, raises `CheckFailed` with the end of its output."""
        chosen = [part for file in self.files() for part in ("-f", str(file))]
        command = ["docker", "compose", "--progress", "quiet", "-p", self.name, *chosen, *arguments]
        done = subprocess.run(
            command,
            check=False,
            cwd=self.site,
            env=self.environment,
            stdin=stdin or subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
        )
        if check and done.returncode:
            words = done.stderr.decode(errors="replace").strip()[-2000:]
            raise CheckFailed(f"docker compose {' '.join(arguments)}: exit status {done.returncode}\n{words}")
        return done

    def files(self) -> list[Path]:
        """Return what the project is made of."""
        over = [*self.over, *([] if self.has_mongo_users else [WITHOUT_MONGO_USERS])]
        return [self.site / "compose.yml", *(self.site.parent / name for name in over)]

    def start(self, *arguments: str) -> None:
        """Start what does not run, and wait until all of it is healthy."""
        self.compose("up", "-d", "--wait", "--wait-timeout", str(STARTED_SECONDS), *arguments)

    def containers(self, service: str = "") -> list[dict[str, Any]]:
        """Return what `docker inspect` says of a service's containers, or of all."""
        found = self.compose("ps", "-aq", *([service] if service else [])).stdout.decode().split()
        return inspect(found) if found else []

    def python(self, service: str, code: str) -> subprocess.CompletedProcess[bytes]:
        """Run Python in a container of the service; how it ended is the caller's business."""
        return self.compose("exec", "-T", service, "python", "-c", code, check=False)

    def remove(self) -> None:
        """Take everything down: containers, networks, volumes and the images that were built."""
        self.compose("--profile", "*", "down", "-v", "--remove-orphans", "-t", "5", check=False)
        subprocess.run(["docker", "image", "rm", "-f", *self.built], check=False, capture_output=True)


def run(command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[bytes]:
    """Run a command. Raises `CheckFailed` with the end of its output."""
    done = subprocess.run(command, check=False, capture_output=True, env=environment, stdin=subprocess.DEVNULL)
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip()[-2000:]
        raise CheckFailed(f"{' '.join(command)}: exit status {done.returncode}\n{words}")
    return done


def inspect(containers: Sequence[str]) -> list[dict[str, Any]]:
    """Return what the engine knows of these containers."""
    output = subprocess.check_output(["docker", "inspect", *containers])
    found: list[dict[str, Any]] = json.loads(output)
    return found
