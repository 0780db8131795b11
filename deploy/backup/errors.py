"""Why a backup cannot be made or restored."""

from __future__ import annotations


class BackupError(Exception):
    """Saving, reading or restoring is not possible; the message says why in one line."""


class NotEmpty(BackupError):
    """The target of a restore has jobs or blobs already."""


class TakenOver(BackupError):
    """Another restore into the same stores has begun, and has removed what this one restored."""

    def __init__(self) -> None:
        super().__init__("Another restore into the same stores has begun: this one ends, and leaves the stores to it.")
