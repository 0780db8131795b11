"""The reserve of a disk with blobs: its size, and what is kept of it for stages that finish jobs."""

from __future__ import annotations

import pytest

from pipeline.blob_reserve import check_room_for_master, compute_reserve
from pipeline.http_settings import BlobsSettings
from storage.blobs import Blobs
from tests.support.small_disks import Disk

GIB = 1024**3
RESERVE_BYTES = 1000
SETTINGS = BlobsSettings(reserve_bytes=RESERVE_BYTES, reserve_share=0.5)


@pytest.mark.parametrize(
    ("disk_bytes", "reserve_bytes"), [(GIB, GIB // 20), (20 * GIB, GIB), (250 * GIB, 2 * GIB), (4000 * GIB, 2 * GIB)]
)
def test_the_default_reserve_fits_small_disks_and_large_ones(disk_bytes: int, reserve_bytes: int) -> None:
    assert compute_reserve(BlobsSettings(), disk_bytes) == reserve_bytes


def test_masters_leave_a_part_of_the_reserve() -> None:
    check_room_for_master(Disk(RESERVE_BYTES // 2), SETTINGS)

    with pytest.raises(OSError, match="No space left"):
        check_room_for_master(Disk(RESERVE_BYTES // 2 - 1), SETTINGS)


def test_without_a_reserve_masters_may_fill_the_disk() -> None:
    check_room_for_master(Disk(0), BlobsSettings(reserve_bytes=0))


def test_an_object_store_has_room_for_every_master() -> None:
    check_room_for_master(Blobs.open("memory:///"), SETTINGS)
