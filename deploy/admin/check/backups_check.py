"""Whether the place of scheduled backups is one that lasts, and whether a bucket answers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import PurePosixPath
from urllib.parse import urlsplit
from urllib.request import url2pathname

import obstore
from obstore.exceptions import BaseError

from deploy.admin.findings import Finding, error, ok
from pipeline.settings import Settings
from storage.object_store import connect_probe

SUBJECT = "backups"
VOLUME = PurePosixPath("/var/lib/darkroom/backups")
"""Where docker-compose.yml mounts DARKROOM_BACKUP_FOLDER. All else in a container ends with it."""
MAX_MESSAGE = 200


def check_backups(settings: Settings) -> Iterator[Finding]:
    """Yield what is wrong with the target; nothing where none is set."""
    target = settings.backup.target
    parts = urlsplit(target)
    if parts.scheme == "file":
        folder = PurePosixPath(url2pathname(parts.path))
        if "DARKROOM_GIVEN_BLOB_URL" in os.environ and VOLUME not in (folder, *folder.parents):
            yield error(
                SUBJECT,
                "DARKROOM_BACKUP__TARGET: what is written there ends with the container",
                f"Remove it, and set DARKROOM_BACKUP_FOLDER: the folder that the container has at {VOLUME}.",
            )
    elif target:
        try:
            obstore.list_with_delimiter(connect_probe(target))
        except (BaseError, OSError, ValueError) as failure:
            yield error(
                SUBJECT,
                f"DARKROOM_BACKUP__TARGET cannot be listed: {' '.join(str(failure).split())[:MAX_MESSAGE]}",
                "Check the bucket and its keys; in containers, that each command has -f deploy/compose/outside.yml.",
            )
        else:
            yield ok(SUBJECT, "the bucket can be listed")
