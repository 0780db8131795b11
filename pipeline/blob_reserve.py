"""The reserve of a disk with blobs: what uploads leave free, so that accepted jobs can finish."""

from __future__ import annotations

import errno
import os

from pipeline.http_settings import BlobsSettings
from storage.blobs import Blobs

MASTERS_SHARE = 0.5
"""Share of the reserve that masters may use. They are the largest blobs, and the last stage of their job removes them:
if they filled the disk, no job could write its renditions and none would be removed."""


def compute_reserve(settings: BlobsSettings, disk_bytes: int) -> int:
    """Return how many bytes of a disk of this size uploads leave free; 0: they may fill it."""
    return min(settings.reserve_bytes, int(settings.reserve_share * disk_bytes))


def has_room_for_master(blobs: Blobs, settings: BlobsSettings) -> bool:
    """Whether more of the reserve is free than is kept for stages that finish jobs. An object store always has room."""
    if not blobs.is_local:
        return True
    free, size = blobs.read_disk_space()
    return free >= (1 - MASTERS_SHARE) * compute_reserve(settings, size)


def check_room_for_master(blobs: Blobs, settings: BlobsSettings) -> None:
    """Raise OSError when there is no room for a master."""
    if not has_room_for_master(blobs, settings):
        raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)}: the rest is for jobs that are nearly done")


def has_room_for_original(blobs: Blobs, settings: BlobsSettings, size: int) -> bool:
    """Whether an original of this size would not use the reserve. An object store always has room."""
    if not blobs.is_local:
        return True
    free, disk_size = blobs.read_disk_space()
    reserve = compute_reserve(settings, disk_size)
    return not reserve or free - reserve >= size


def check_room_for_original(blobs: Blobs, settings: BlobsSettings, size: int) -> None:
    """Raise OSError when an original of this size would use the reserve, as uploads are refused then."""
    if not has_room_for_original(blobs, settings, size):
        raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)}: the rest is for jobs that have their originals")
