"""The files of a worker's metrics: a full disk is an error when they are made, and nothing later."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import prometheus_client.values
import pytest
from billiard import current_process
from prometheus_client.values import MutexValue

from pipeline.allocated_dict import INITIAL_BYTES, AllocatedDict, allocate
from pipeline.exporter import FOLDER_VARIABLE, child_metrics

FULL = Path("/dev/full")
SLOT = 7

needs_full = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")


def hole_bytes(file: Path) -> int:
    found = file.stat()
    return found.st_size - min(found.st_size, found.st_blocks * 512)


@pytest.mark.parametrize("series", [1, 2000])
def test_a_file_has_no_holes_however_large_it_grows(tmp_path: Path, series: int) -> None:
    file = tmp_path / "counter_1.db"

    with closing(AllocatedDict(str(file))) as values:
        for number in range(series):
            values.write_value(f"a series, number {number}", number, 0.0)  # type: ignore[no-untyped-call]

    assert hole_bytes(file) == 0
    assert file.stat().st_size == INITIAL_BYTES * (1 if series == 1 else 2)


def test_the_next_child_of_a_slot_continues_the_file(tmp_path: Path) -> None:
    file = str(tmp_path / "counter_1.db")
    with closing(AllocatedDict(file)) as first:
        first.write_value("a series", 5.0, 0.0)  # type: ignore[no-untyped-call]

    with closing(AllocatedDict(file)) as second:
        found = second.read_value("a series")  # type: ignore[no-untyped-call]

    assert found == (5.0, 0.0)


@needs_full
def test_a_disk_that_is_full_is_an_error() -> None:
    descriptor = os.open(FULL, os.O_WRONLY)

    with pytest.raises(OSError, match="No space left"):
        allocate(descriptor, INITIAL_BYTES)

    os.close(descriptor)


@needs_full
def test_a_child_whose_files_a_full_disk_does_not_take_works_without_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    monkeypatch.setattr(current_process(), "index", SLOT, raising=False)
    for name in ("ValueClass", "MmapedDict"):
        monkeypatch.setattr(prometheus_client.values, name, getattr(prometheus_client.values, name))
    (tmp_path / f"counter_{SLOT}.db").symlink_to(FULL)

    metrics = child_metrics(["small"])

    metrics.count_outcome("small", "done")
    assert prometheus_client.values.ValueClass is MutexValue
