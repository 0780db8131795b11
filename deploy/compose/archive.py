"""Write a backup as one tar to stdout, or restore one from stdin: the service `backup` of docker-compose.yml.

    docker compose run --rm -T backup save > darkroom.tar         while everything runs
    docker compose run --rm -T backup restore < darkroom.tar      into empty volumes, before the gateway starts

deploy/admin/backup.py says what is saved and in which order. Both need space for it in the volume `scratch`.
"""

from __future__ import annotations

import argparse
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from bson.errors import BSONError

from deploy.admin import backup
from pipeline.settings import Settings

SCRATCH = Path("/var/lib/darkroom/scratch")
FOLDER = "darkroom"  # the only top-level name in the tar


def save(settings: Settings, stream: BinaryIO) -> dict[str, int]:
    """Write everything to `stream`; return the number of each kind."""
    with TemporaryDirectory(dir=SCRATCH) as folder:
        counts = backup.save(settings, Path(folder) / FOLDER)
        with tarfile.open(fileobj=stream, mode="w|") as tar:
            tar.add(Path(folder) / FOLDER, FOLDER)
    return counts


def restore(settings: Settings, stream: BinaryIO) -> dict[str, int]:
    """Restore what `save` wrote; return the number of each kind. Raises `NotEmpty` if there are jobs or blobs."""
    with TemporaryDirectory(dir=SCRATCH) as folder:
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            tar.extractall(folder, filter="data")
        return backup.restore(settings, Path(folder) / FOLDER)


def main(arguments: list[str]) -> int:
    """Run from the command line. Messages go to stderr, because stdout may be the archive."""
    parser = argparse.ArgumentParser(prog="backup", description=__doc__.splitlines()[0] if __doc__ else None)
    actions: dict[str, tuple[Callable[[Settings, BinaryIO], dict[str, int]], BinaryIO]] = {
        "save": (save, sys.stdout.buffer),
        "restore": (restore, sys.stdin.buffer),
    }
    parser.add_argument("action", choices=actions)
    act, stream = actions[parser.parse_args(arguments).action]
    if stream.isatty():
        parser.error("redirect it: save > darkroom.tar, restore < darkroom.tar")
    try:
        counts = act(Settings(), stream)
    except (backup.NotEmpty, backup.BackupError, tarfile.TarError, FileNotFoundError, BSONError) as error:
        print(f"backup: {error}", file=sys.stderr)
        return 1
    print(", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items()), file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
