"""Write what Prometheus, Grafana and Alertmanager read into their volumes: the service `configuration` of Compose.

It runs at every start, so an upgrade brings its rules and dashboards, and no file of this tree has to be mounted.
"""

from __future__ import annotations

import shutil
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1]
TARGET = Path("/var/lib/darkroom/configuration")
READERS = ("prometheus", "grafana", "alertmanager")


def write_configuration(source: Path, target: Path) -> None:
    """Make each reader's folder in `target`, which exists, equal to that in `source`."""
    for reader in READERS:
        _replace_files(source / reader, target / reader)


def _replace_files(source: Path, target: Path) -> None:
    """Write each file by a rename, so that no reader finds a part of it; then remove what `source` does not have."""
    wanted = {file.relative_to(source) for file in source.rglob("*") if file.is_file()}
    for path in wanted:
        file = target / path
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_name(f".{file.name}.new")
        shutil.copyfile(source / path, unfinished)
        unfinished.chmod(0o444)
        unfinished.replace(file)
    for file in [found for found in target.rglob("*") if found.is_file()]:
        if file.relative_to(target) not in wanted:
            file.unlink()


if __name__ == "__main__":
    write_configuration(SOURCE, TARGET)
