"""How much a disk still takes: bytes, and files."""

from __future__ import annotations

import os

import pytest

from storage.blobs import count_free_bytes


@pytest.mark.parametrize(
    ("free_blocks", "files", "free_files", "free_bytes"),
    [
        pytest.param(40, 1000, 1000, 40 * 4096, id="bytes run out first"),
        pytest.param(40, 1000, 100, 10 * 4096, id="inodes run out first"),
        pytest.param(40, 1000, 0, 0, id="no inode is left"),
        pytest.param(40, 0, 0, 40 * 4096, id="no limit of inodes"),
    ],
)
def test_a_disk_takes_no_more_than_it_has_inodes_for(
    free_blocks: int, files: int, free_files: int, free_bytes: int
) -> None:
    disk = os.statvfs_result((4096, 4096, 100, free_blocks, free_blocks, files, free_files, free_files, 0, 255))

    assert count_free_bytes(disk) == free_bytes
