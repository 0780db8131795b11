"""Why a backup cannot be made or restored."""

from __future__ import annotations


class BackupError(Exception):
    """Saving, reading or restoring is not possible; the message says why in one line."""


class NotEmpty(BackupError):
    """The target of a restore has jobs or blobs already."""
