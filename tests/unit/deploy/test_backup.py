"""What a restore takes from a backup that somebody else made."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.admin.backup import BackupError, restore
from pipeline.settings import Settings


def test_a_backup_with_a_link_is_not_restored(tmp_path: Path) -> None:
    blobs = tmp_path / "backup" / "blobs" / "a-job"
    blobs.mkdir(parents=True)
    (tmp_path / "secret").write_text("a password")
    (blobs / "small.1").symlink_to(tmp_path / "secret")
    settings = Settings(blob_url=(tmp_path / "store").as_uri())

    with pytest.raises(BackupError, match=r"small\.1 is a link"):
        restore(settings, tmp_path / "backup")

    assert not (tmp_path / "store").exists()
