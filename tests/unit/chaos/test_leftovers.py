"""The campaign's look at the blobs finds whole files, too, that nothing has recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage.documents import JobState, blob_key
from tests.support.fakes import new_job
from tests.tools.chaos.leftovers import find_left_blobs

ENDED = [JobState.DONE, JobState.FAILED, JobState.DEAD, JobState.CANCELLED]


@pytest.mark.parametrize("state", ENDED)
@pytest.mark.parametrize("name", ["normalize.1", "normalize.1#1"])
def test_what_a_killed_run_left_of_an_ended_job_is_found(tmp_path: Path, state: JobState, name: str) -> None:
    job = new_job(state=state)
    (tmp_path / job.id).mkdir()
    (tmp_path / blob_key(job.id, name)).write_bytes(b"pixels")

    found = list(find_left_blobs([job], tmp_path))

    assert any(name in sentence for sentence in found)


def test_the_original_of_a_dead_job_may_stay(tmp_path: Path) -> None:
    job = new_job(state=JobState.DEAD)
    (tmp_path / job.id).mkdir()
    (tmp_path / job.original.blob).write_bytes(b"original")

    assert list(find_left_blobs([job], tmp_path)) == []
