"""The job document: what it knows of itself, and what its schema refuses."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from pipeline.stage_order import stage_by_rendition
from storage.clock import now_ms
from storage.documents import (
    ACTIVE_STATES,
    OUTPUT,
    Job,
    JobRecord,
    JobState,
    Kind,
    StageRecord,
    StageState,
    blob_key,
    job_folder,
)
from storage.errors import TRANSIENT_ERRORS, JobNotFound
from storage.stores import database_name
from tests.support.fakes import new_job, new_job_id

NOW = 1_000_000


@pytest.mark.parametrize("state", list(JobState))
def test_a_job_is_active_until_it_ends(state: JobState) -> None:
    assert new_job(state=state).is_active == (state in {JobState.ACCEPTED, JobState.PROCESSING})


def test_a_job_is_accepted_first() -> None:
    assert new_job().state is JobState.ACCEPTED


@pytest.mark.parametrize(
    ("stage", "live"),
    [
        (StageRecord(state=StageState.RUNNING, lease_ms=NOW + 1), True),
        (StageRecord(state=StageState.RUNNING, lease_ms=NOW), False),
        (StageRecord(state=StageState.DONE, lease_ms=NOW + 1), False),
        (StageRecord(), False),
    ],
    ids=["running", "run out", "done", "pending"],
)
def test_a_lease_is_live_while_its_stage_runs_and_its_time_lasts(stage: StageRecord, live: bool) -> None:
    assert new_job(stages={"large": stage}).has_live_lease(NOW) is live


def test_a_record_is_read_as_it_was_written() -> None:
    record = JobRecord.model_validate(new_job().model_dump(exclude={"revision_id"}))

    assert JobRecord.model_validate(record.model_dump(by_alias=True)) == record


def test_a_record_has_its_id_where_mongo_looks_for_it() -> None:
    assert new_job(id="job").model_dump(by_alias=True)["_id"] == "job"


def test_a_state_that_is_not_known_is_refused() -> None:
    written = new_job().model_dump(by_alias=True) | {"state": "lost"}

    with pytest.raises(ValidationError):
        JobRecord.model_validate(written)


@pytest.mark.parametrize(
    "keys",
    [["state", "next_dispatch_ms"], ["blobs_removed_ms"], ["original.sha256"]],
    ids=["due", "forgotten", "duplicate"],
)
def test_what_is_asked_over_and_over_has_an_index(keys: list[str]) -> None:
    assert keys in [list(index.document["key"]) for index in Job.Settings.indexes]


def test_no_two_indexes_have_the_same_name() -> None:
    names = [index.document["name"] for index in Job.Settings.indexes]

    assert len(names) == len(set(names))


def test_each_preview_is_made_by_the_stage_of_its_name() -> None:
    assert stage_by_rendition(new_job(renditions={"tiny": 16, "huge": 4000})) == {"tiny": "tiny", "huge": "huge"}


@pytest.mark.parametrize("kind", [Kind.CROP, Kind.GRAYSCALE, Kind.RESIZE])
def test_the_output_of_an_operation_is_made_by_its_transform(kind: Kind) -> None:
    assert stage_by_rendition(new_job(kind)) == {OUTPUT: "transform"}


@pytest.mark.parametrize("kind", list(Kind))
def test_what_makes_a_rendition_is_a_stage_of_the_job(kind: Kind) -> None:
    job = new_job(kind)

    assert set(stage_by_rendition(job).values()) <= set(job.stages)


def test_a_kind_that_is_not_known_is_refused() -> None:
    written = new_job().model_dump(by_alias=True) | {"kind": "sepia"}

    with pytest.raises(ValidationError):
        JobRecord.model_validate(written)


def test_a_message_id_is_stored_under_the_name_that_it_has_always_had() -> None:
    stored = StageRecord(message_id="one").model_dump(by_alias=True)

    assert stored["task_id"] == "one"
    assert StageRecord.model_validate(stored).message_id == "one"


SPENT = StageRecord(
    state=StageState.FAILED,
    attempts=5,
    retries=1,
    message_id="theirs",
    worker="there",
    lease_ms=NOW + 1,
    queued_ms=1,
    started_ms=2,
    finished_ms=3,
    result={"width": 1},
    error="it crashed",
)


def test_a_reset_stage_waits_as_if_for_the_first_time() -> None:
    blank = StageRecord(queued_ms=NOW)

    kept = {"attempts", "retries", "error"}
    assert SPENT.reset_for_retry(NOW).model_dump(exclude=kept) == blank.model_dump(exclude=kept)


def test_the_token_of_a_reset_stage_goes_on() -> None:
    assert SPENT.reset_for_retry(NOW).attempts == SPENT.attempts


def test_no_attempt_of_a_reset_stage_counts_as_failed() -> None:
    reset = SPENT.reset_for_retry(NOW)

    assert reset.attempts - reset.retries == 0


def test_a_reset_stage_says_what_went_wrong_before() -> None:
    assert SPENT.reset_for_retry(NOW).error == "it crashed"


def test_an_active_state_is_one_that_can_still_move() -> None:
    assert ACTIVE_STATES == (JobState.ACCEPTED, JobState.PROCESSING)


def test_a_blob_is_in_the_folder_of_its_job() -> None:
    assert blob_key("job", "small.1") == f"{job_folder('job')}/small.1"


def test_a_job_that_was_not_found_is_named() -> None:
    assert JobNotFound("nobody").job_id == "nobody"


def test_a_job_that_was_not_found_is_not_looked_for_again() -> None:
    assert not issubclass(JobNotFound, TRANSIENT_ERRORS)


def test_a_missing_blob_may_come_back() -> None:
    assert issubclass(FileNotFoundError, TRANSIENT_ERRORS)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("mongodb://host:27017/photos", "photos"),
        ("mongodb://host:27017/photos?replicaSet=rs0", "photos"),
        ("mongodb://user:p%2Fw@a,b,c/photos", "photos"),
        ("mongodb+srv://host/", "darkroom"),
        ("mongodb://host:27017", "darkroom"),
        ("mongodb://host:27017/?retryWrites=true", "darkroom"),
    ],
)
def test_the_database_is_the_one_that_the_address_names(url: str, name: str) -> None:
    assert database_name(url) == name


def test_the_age_of_a_resumable_upload_counts_from_its_last_byte() -> None:
    hours_ago, now = now_ms() - 5 * 3_600_000, now_ms()

    assert new_job(id=new_job_id(at_ms=hours_ago)).upload_started_ms == hours_ago
    assert new_job(id=new_job_id(at_ms=hours_ago), received_ms=now).upload_started_ms == now
