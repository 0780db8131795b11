"""Whether blobs can be written, read, listed and removed, and how much room they have."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError

from deploy.admin.findings import Finding, error, ok, warning
from pipeline.blob_reserve import compute_reserve
from pipeline.settings import Settings
from storage.blobs import Blobs
from storage.job_ids import new_job_id

SUBJECT = "blobs"
GIB = 1024**3
MIN_FREE_BYTES = GIB // 4
LOW_FREE_BYTES = 5 * GIB
MAX_MESSAGE = 200
METADATA_SERVER = "169.254.169.254"  # of a cloud, which is asked for keys where none are set


def check_blobs(settings: Settings) -> Iterator[Finding]:
    """Yield what the folder or the bucket answers."""
    scheme = urlsplit(settings.blob_url).scheme
    try:
        if scheme != "file":
            yield from _probe(Blobs.open(settings.blob_url))
            return
        folder = Path(url2pathname(urlsplit(settings.blob_url).path))
        if not folder.is_dir():
            yield warning(
                SUBJECT, f"{folder} does not exist", "The first gateway creates it, if DARKROOM_BLOB_URL is right."
            )
            return
        blobs = Blobs.open(settings.blob_url)
        yield from _probe(blobs)
        free, total = blobs.read_disk_space()
        yield from judge_space(free, total, needed=_needed_bytes(settings, total))
    except (BaseError, OSError, ValueError) as failure:
        yield error(SUBJECT, f"DARKROOM_BLOB_URL cannot be used: {_shorten(failure)}", "Correct it.")


def _probe(blobs: Blobs) -> Iterator[Finding]:
    """Do once what our programs do, in a folder of our own. If this is killed, the tidier removes the folder."""
    folder = new_job_id()
    actions: dict[str, Callable[[], object]] = {
        "write": lambda: blobs.put(f"{folder}/check", b"check", create_only=True),
        "read": lambda: blobs.get(f"{folder}/check"),
        "copy": lambda: blobs.copy(f"{folder}/check", f"{folder}/copy"),
        "list": lambda: blobs.list_names(folder),
        "remove": lambda: blobs.remove(folder, ["check", "copy"]),
    }
    for name, run in actions.items():
        try:
            run()
        except (BaseError, OSError) as failure:
            yield error(SUBJECT, f"cannot {name}: {_shorten(failure)}", _suggest(failure, blobs))
            if name != "write":
                blobs.remove_folder(folder)
            return
    yield ok(SUBJECT, "can be written, read, copied, listed and removed")


def _needed_bytes(settings: Settings, total: int) -> int:
    """Return how much must be free for an upload to be accepted."""
    reserve = compute_reserve(settings.blobs, total)
    return reserve + settings.limits.upload_bytes if reserve else 0


def judge_space(free: int, total: int, *, needed: int) -> Iterator[Finding]:
    """Yield what to say of a disk with so many free bytes, and bytes in all. Uploads are refused below `needed`."""
    text = f"{free / GIB:.1f} of {total / GIB:.1f} GiB are free"
    action = "Make room, or shorten DARKROOM_RETENTION__RESULTS."
    if free < needed:
        yield error(
            SUBJECT, f"the disk is full, and uploads are refused: {text}, {needed / GIB:.1f} are needed", action
        )
    elif free < MIN_FREE_BYTES:
        yield error(SUBJECT, f"the disk is full: {text}", action)
    elif free < LOW_FREE_BYTES:
        yield warning(SUBJECT, f"the disk is nearly full: {text}", action)
    else:
        yield ok(SUBJECT, text)


def _suggest(failure: Exception, blobs: Blobs) -> str:
    if blobs.is_local:
        return "Let the user that runs Darkroom write the folder (in containers: 10001)."
    if METADATA_SERVER in str(failure):
        return "Set the keys, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: there are none."
    if isinstance(failure, PermissionDeniedError | UnauthenticatedError):
        return "Check the keys, and what they may do in the bucket: read, write, list and delete."
    if isinstance(failure, FileNotFoundError):
        return "Create the bucket, or correct DARKROOM_BLOB_URL."
    if "DARKROOM_GIVEN_BLOB_URL" in os.environ:
        return "Check the endpoint (AWS_ENDPOINT_URL), and that COMPOSE_FILE in .env names outside.yml."
    return "Check the endpoint (AWS_ENDPOINT_URL), and that this machine reaches it."


def _shorten(failure: Exception) -> str:
    text = " ".join(str(failure).partition("\n\nDebug source")[0].split())
    return text if len(text) <= MAX_MESSAGE else f"{text[:MAX_MESSAGE]}..."
