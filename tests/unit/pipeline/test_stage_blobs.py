"""What a stage run leaves in the folder of its job."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.stage_blobs import StageBlobs
from storage.blobs import Blobs
from storage.documents import Job, StageRecord, StageState, blob_key
from tests.support.fakes import RENDITIONS, new_job, new_job_id

RECORDED = ["original", *(f"{name}.2" for name in RENDITIONS)]


@pytest.fixture
def local(tmp_path: Path) -> Blobs:
    return Blobs.open(tmp_path.as_uri())


@pytest.fixture
def job(local: Blobs) -> Job:
    """A job whose renditions the second attempts have made."""
    job_id = new_job_id()
    for name in RECORDED:
        local.put(blob_key(job_id, name), b"")
    records = {name: {"blob": blob_key(job_id, f"{name}.2")} for name in RENDITIONS}
    stages = {name: StageRecord(state=StageState.DONE, result=record) for name, record in records.items()}
    return new_job(id=job_id, stages=stages)


@pytest.mark.parametrize("name", ["master.1", "master.2", "small.1", "small.3", "master.1#1", "small.2#1"])
def test_of_a_job_that_is_done_its_original_and_its_renditions_are_kept(
    local: Blobs, job: Job, tmp_path: Path, name: str
) -> None:
    (tmp_path / job.id / name).write_bytes(b"left by a run that was killed")

    StageBlobs(local, job, attempt=1).remove_intermediates()

    assert sorted(local.list_all_names(job.id)) == sorted(RECORDED)
