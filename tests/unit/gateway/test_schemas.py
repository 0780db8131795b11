"""The wire's view of a job, from the upload to the end."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.schemas import JobStatus, JobSummary, StageStatus
from pipeline.stage_failures import SENTENCES
from stages.validate import ImageFacts, StatedColours
from storage.documents import DestinationReference, Failure, Job, JobState, Kind, Operation, StageRecord, StageState
from tests.support.fakes import SHA256, new_job

MADE = {
    "blob": "job/small.1",
    "format": "jpeg",
    "media_type": "image/jpeg",
    "width": 160,
    "height": 120,
    "bytes": 5000,
    "sha256": SHA256,
}
DONE = StageRecord(state=StageState.DONE, result=MADE)
ALL_DONE = dict.fromkeys(("validate", "normalize", "small", "medium", "large", "finalize"), DONE)


def status_of(job: Job) -> JobStatus:
    """Build the view of a job on a gateway that no proxy has put below a prefix."""
    return JobStatus.of(job, root_path="")


def test_an_accepted_job_has_made_no_progress() -> None:
    assert status_of(new_job()).progress == 0


def test_a_job_under_way_has_the_progress_of_its_stages() -> None:
    job = new_job(state=JobState.PROCESSING, stages={"validate": DONE, "normalize": DONE, "small": DONE})

    assert status_of(job).progress == 0.5


def test_a_job_that_is_done_has_made_all_progress() -> None:
    assert status_of(new_job(state=JobState.DONE, stages=ALL_DONE)).progress == 1


@pytest.mark.parametrize("state", list(JobState))
def test_a_status_is_the_state_of_the_job(state: JobState) -> None:
    assert status_of(new_job(state=state)).status == state


def test_stages_are_shown_in_their_order() -> None:
    assert list(status_of(new_job()).stages) == ["validate", "normalize", "small", "medium", "large", "finalize"]


def test_the_original_is_measured_once_it_is_validated() -> None:
    job = new_job(stages={"validate": StageRecord(state=StageState.DONE, result={"width": 4000, "height": 3000})})

    original = status_of(job).original

    assert (original.width, original.height) == (4000, 3000)


def test_the_original_is_not_measured_before() -> None:
    original = status_of(new_job()).original

    assert (original.width, original.height) == (None, None)


def test_a_status_says_what_validate_found_in_the_original() -> None:
    facts = ImageFacts(
        format="jpeg", width=4000, height=3000, mode="RGB", frames=1, orientation=6, bit_depth=8,
        colour_space=StatedColours("Display P3", "icc"), has_alpha=False, has_gps=True,
    )  # fmt: skip
    job = new_job(stages={"validate": StageRecord(state=StageState.DONE, result=asdict(facts))})

    original = status_of(job).original.model_dump(exclude={"name", "media_type", "bytes", "sha256"})

    shown = {name: value for name, value in asdict(facts).items() if name not in ("mode", "colour_space")}
    assert original == {**shown, "color_space": {"name": "Display P3", "source": "icc"}}


def test_a_job_of_an_older_version_is_shown_without_the_newer_facts() -> None:
    result = {"format": "png", "width": 40, "height": 30, "mode": "P", "frames": 2, "orientation": 1}
    job = new_job(stages={"validate": StageRecord(state=StageState.DONE, result=result)})

    original = status_of(job).original

    assert (original.format, original.width, original.frames, original.orientation) == ("png", 40, 2, 1)
    assert (original.bit_depth, original.color_space, original.has_alpha, original.has_gps) == (None,) * 4


def test_where_things_are_kept_is_not_told() -> None:
    job = new_job(id="job", state=JobState.DONE, stages=ALL_DONE)

    assert "blob" not in status_of(job).model_dump_json(exclude={"summary"})


def test_a_failed_job_says_why() -> None:
    failure = Failure(stage="validate", code="image_corrupt", message="It is damaged.")

    assert status_of(new_job(state=JobState.FAILED, failure=failure)).failure == failure


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"state": JobState.PROCESSING, "stages": {"small": DONE}}, ["small"]),
        ({"state": JobState.DONE, "stages": ALL_DONE}, ["small", "medium", "large"]),
        ({"state": JobState.DONE, "stages": ALL_DONE, "blobs_removed_ms": 1}, []),
        ({"state": JobState.DONE, "stages": ALL_DONE, "expiring_ms": 1}, []),
        ({"state": JobState.FAILED, "stages": {"small": DONE}}, []),
        ({"state": JobState.DEAD, "stages": {"small": DONE}}, []),
        ({}, []),
    ],
    ids=["under way", "done", "expired", "expiring", "failed", "dead", "accepted"],
)
def test_renditions_are_those_that_can_be_had(fields: dict[str, Any], names: list[str]) -> None:
    assert list(status_of(new_job(**fields)).renditions) == names


@pytest.mark.parametrize(
    ("fields", "is_shown"),
    [
        ({"state": JobState.PROCESSING}, True),
        ({"state": JobState.DONE}, True),
        ({"state": JobState.DONE, "expiring_ms": 1}, False),
        ({"state": JobState.CANCELLED}, False),
    ],
    ids=["under way", "done", "expiring", "cancelled"],
)
def test_a_placeholder_is_shown_while_its_job_can_have_renditions(fields: dict[str, Any], *, is_shown: bool) -> None:
    placeholder = {"thumbhash": "3OcRJYB4d3h/iIeHeEh3eIhw+j2w", "blurhash": "LEHV6n", "color": "#7f6a52"}
    result = {"blob": "job/master.1", "placeholder": placeholder | {"a newer field": 1}}
    job = new_job(stages={"normalize": StageRecord(state=StageState.DONE, result=result)}, **fields)

    for shown in (status_of(job), JobSummary.of(job, root_path="")):
        assert shown.model_dump()["placeholder"] == (placeholder if is_shown else None)


@pytest.mark.parametrize("kind", list(Kind))
def test_a_job_of_an_earlier_version_or_an_operation_has_no_placeholder(kind: Kind) -> None:
    job = new_job(kind, state=JobState.DONE, stages=ALL_DONE if kind is Kind.PREVIEWS else None)

    assert status_of(job).placeholder is None


@pytest.mark.parametrize("kind", [Kind.CROP, Kind.GRAYSCALE, Kind.RESIZE])
def test_the_rendition_of_an_operation_is_its_output(kind: Kind) -> None:
    job = new_job(kind, id="job", state=JobState.DONE, stages={"transform": DONE})

    renditions = status_of(job).renditions
    assert {name: made.url for name, made in renditions.items()} == {"output": "/result/job/output"}


def test_an_operation_under_way_has_the_progress_of_its_stages() -> None:
    assert status_of(new_job(Kind.CROP, state=JobState.PROCESSING, stages={"validate": DONE})).progress == 0.333


@pytest.mark.parametrize("kind", list(Kind))
def test_a_status_says_what_was_asked(kind: Kind) -> None:
    operation = Operation(parameters={"width": 10}, format="png", quality=70)

    status = status_of(new_job(kind, operation=operation))

    assert (status.kind, status.operation) == (kind, operation)


def test_a_status_says_where_its_image_and_its_results_came_from() -> None:
    status = status_of(new_job(Kind.CROP, source_task_id="source", deduplicated_from="duplicate"))

    assert (status.source_task_id, status.deduplicated_from) == ("source", "duplicate")


@pytest.mark.parametrize("field", ["owner", "fingerprint", "finalizations", "next_dispatch_ms"])
def test_what_is_ours_alone_is_not_told(field: str) -> None:
    assert field not in status_of(new_job(owner="ada", fingerprint=SHA256)).model_dump()


def test_a_rendition_says_where_to_get_it() -> None:
    job = new_job(id="job", state=JobState.DONE, stages=ALL_DONE)

    assert status_of(job).renditions["small"].url == "/result/job/small"


def test_the_summary_is_what_the_last_stage_noted() -> None:
    last = StageRecord(state=StageState.DONE, result={"renditions": 3, "bytes": 99, "ratio": 0.5})

    assert status_of(new_job(stages={"finalize": last})).summary == {"renditions": 3, "bytes": 99, "ratio": 0.5}


def test_moments_are_told_in_utc() -> None:
    job = new_job(updated_ms=1_700_000_000_123)

    assert status_of(job).updated_at == datetime(2023, 11, 14, 22, 13, 20, 123_000, tzinfo=UTC)


def test_a_moment_that_has_not_come_is_not_told() -> None:
    assert status_of(new_job()).finished_at is None


@pytest.mark.parametrize("code", ["infrastructure_error", "time_limit", "out_of_order", "image_corrupt"])
def test_an_error_of_a_stage_is_a_code_and_a_sentence(code: str) -> None:
    stage = StageStatus.of(StageRecord(error=code), until_ms=5000)

    assert (stage.error_code, stage.error) == (code, SENTENCES[code])


def test_the_error_of_a_failed_stage_is_that_of_its_job() -> None:
    failure = Failure(stage="validate", code="image_too_large", message="The image is 9 pixels wide.")
    record = StageRecord(state=StageState.FAILED, error="image_too_large")

    job = new_job(state=JobState.FAILED, failure=failure, stages={"validate": record})
    stage = JobStatus.of(job, root_path="").stages["validate"]

    assert (stage.error_code, stage.error) == (failure.code, failure.message)


@pytest.mark.parametrize("state", StageState)
def test_texts_of_earlier_versions_are_not_shown(state: StageState) -> None:
    secret = "s3://secret-bucket/key at 10.0.0.7"  # noqa: S105
    failure = Failure(
        stage="validate", code="unsupported_format", message=f"This kind of image is not supported: {secret}."
    )
    stages = {"validate": StageRecord(state=state, error=f"OSError: {secret}")}
    job = new_job(state=JobState.FAILED, failure=failure, stages=stages)

    for shown in (JobStatus.of(job, root_path=""), JobSummary.of(job, root_path="")):
        assert "secret" not in shown.model_dump_json()


def test_a_stage_that_is_not_queued_has_no_times() -> None:
    stage = StageStatus.of(StageRecord(), until_ms=5000)

    assert (stage.queue_wait_ms, stage.run_ms) == (None, None)


def test_a_stage_that_ran_says_how_long_it_waited_and_ran() -> None:
    stage = StageStatus.of(
        StageRecord(state=StageState.DONE, queued_ms=1000, started_ms=1250, finished_ms=2000), until_ms=5000
    )

    assert (stage.queue_wait_ms, stage.run_ms) == (250, 750)


def test_a_stage_that_waits_says_how_long_by_now() -> None:
    stage = StageStatus.of(StageRecord(queued_ms=2000), until_ms=7000)

    assert stage.queue_wait_ms == 5000


def test_a_stage_that_runs_says_how_long_by_now() -> None:
    running = StageRecord(state=StageState.RUNNING, queued_ms=1000, started_ms=2000)

    stage = StageStatus.of(running, until_ms=7000)

    assert stage.run_ms == 5000


def test_a_stage_that_an_ended_job_never_reached_waits_no_longer() -> None:
    job = new_job(state=JobState.FAILED, finished_ms=3000, stages={"normalize": StageRecord(queued_ms=1000)})

    assert status_of(job).stages["normalize"].queue_wait_ms == 2000


def test_clocks_that_disagree_make_no_negative_wait() -> None:
    stage = StageStatus.of(
        StageRecord(state=StageState.DONE, queued_ms=2000, started_ms=1990, finished_ms=1980), until_ms=5000
    )

    assert (stage.queue_wait_ms, stage.run_ms) == (0, 0)


def test_what_a_newer_version_stores_in_another_way_is_not_shown() -> None:
    results: dict[str, dict[str, Any]] = {
        "validate": {"width": 40, "colour_space": "Display P3"},
        "normalize": {"placeholder": {"thumbhash": "3OcRJYB4d3h/iIeHeEh3eIhw+j2w"}},
    }
    stages = {name: StageRecord(state=StageState.DONE, result=result) for name, result in results.items()}
    job = new_job(state=JobState.PROCESSING, stages=stages)

    status = status_of(job)

    assert (status.original.width, status.original.color_space, status.placeholder) == (40, None, None)
    assert JobSummary.of(job, root_path="").placeholder is None


EXPORTED = {"rendition": "small", "format": "jpeg", "dpr": 1, "key": "A-1/small.jpg", "bytes": 5000}


def test_a_status_names_the_objects_that_results_were_put_into() -> None:
    operation = Operation(renditions={"small": 160}, destination=DestinationReference(name="shop", key="{rendition}"))
    exported = StageRecord(state=StageState.DONE, result={"destination": "shop", "objects": [EXPORTED]})

    job = new_job(renditions={"small": 160}, operation=operation, stages={"export": exported})

    assert [each.model_dump() for each in status_of(job).exports] == [EXPORTED | {"destination": "shop"}]
    assert list(status_of(job).stages) == ["validate", "normalize", "small", "export", "finalize"]


def test_a_job_without_a_destination_has_no_objects_whatever_its_renditions_are_called() -> None:
    done = StageRecord(state=StageState.DONE, result=MADE)

    assert status_of(new_job()).exports == []
    assert status_of(new_job(renditions={"export": 160}, stages={"export": done})).exports == []
