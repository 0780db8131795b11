"""Processing an ended job again, over HTTP: what it makes, what its status shows meanwhile, and what is refused."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from gateway.permission import Permission
from gateway.problems import InvalidRequest, PresetNotAllowed
from gateway.reprocessing import needs_reprocess, resolve_again
from pipeline.presets.definition import PresetDefinition, RenditionDefinition
from pipeline.presets.preset import Preset
from pipeline.presets.registry import Presets
from storage.blobs import Blobs
from storage.clock import now_ms
from storage.documents import Failure, Job, JobState, Kind, Operation, PresetReference, StageRecord, StageState
from tests.support.fakes import FakeBroker, FakeJobs, new_job
from tests.support.presets import SHOP, build_presets

EDGES = {"small": 160, "medium": 640, "large": 1600}
FAILURE = Failure(stage="validate", code="image_corrupt", message="It is damaged.")
SMALL = {
    "blob": "hers/small.1", "format": "png", "media_type": "image/png", "width": 1, "height": 1, "bytes": 5,
    "sha256": "2ef7bde608ce5404e97d5f042f95f89f1c232871",
}  # fmt: skip
FACTS = {"width": 40, "height": 30, "format": "png"}
THUMB = {"thumbhash": "t", "blurhash": "b", "color": "#7f6a52"}

pytestmark = pytest.mark.usefixtures("broker")


async def insert(jobs: FakeJobs, blobs: Blobs, kind: Kind = Kind.PREVIEWS, **fields: Any) -> Job:
    values: dict[str, Any] = {"state": JobState.DONE, "finished_ms": 5}
    job = new_job(kind, **(values | fields))
    await jobs.insert(job)
    blobs.put(job.original.blob, b"original")
    return job


@pytest.fixture
async def done(jobs: FakeJobs, blobs: Blobs) -> Job:
    """A job with the results of one rendition, which blobs hold."""
    stages = {
        "validate": StageRecord(state=StageState.DONE, attempts=1, result=FACTS),
        "normalize": StageRecord(state=StageState.DONE, attempts=1, result={"placeholder": THUMB}),
        "small": StageRecord(state=StageState.DONE, attempts=1, result=SMALL),
        "finalize": StageRecord(state=StageState.DONE, attempts=1, result={"ratio": 0.5}),
    }
    blobs.put("hers/small.1", b"small")
    return await insert(jobs, blobs, id="hers", stages=stages, renditions={"small": 99})


def presets_with(preset: Preset) -> Presets:
    presets = Presets(EDGES)
    presets._presets[preset.name] = preset
    return presets


def preset(name: str = "shop", *, fields: tuple[Any, ...] = (), **rendition: Any) -> Preset:
    renditions = {"card": RenditionDefinition(**(rendition or {"edge": 400}))}
    return Preset(name, PresetDefinition(fields=fields, renditions=renditions))


async def test_a_done_job_is_processed_again(http: httpx.AsyncClient, done: Job) -> None:
    answer = await http.post(f"/jobs/{done.id}/reprocess")

    body = answer.json()
    assert (answer.status_code, body["task_id"], body["status"], body["revision"]) == (202, "hers", "processing", 1)
    assert body["preset"] == Presets(EDGES).get().reference.model_dump()
    assert answer.headers["location"] == body["links"]["status"] == "/task-status/hers"


async def test_its_canvas_is_published_for_the_new_renditions(
    http: httpx.AsyncClient, done: Job, broker: FakeBroker, jobs: FakeJobs
) -> None:
    await http.post(f"/jobs/{done.id}/reprocess", json={"preset": "default"})

    assert [message.headers["id"] for message in broker.take_messages()] == ["hers.1"]
    assert (await jobs.get("hers")).operation.renditions == EDGES


@pytest.mark.usefixtures("no_broker")
async def test_without_a_broker_it_is_due(http: httpx.AsyncClient, jobs: FakeJobs, done: Job) -> None:
    answer = await http.post(f"/jobs/{done.id}/reprocess")

    assert (answer.status_code, [job.id for job in await jobs.find_due(limit=10)]) == (202, ["hers"])


async def test_meanwhile_its_status_shows_the_new_run_and_the_results_from_before(
    http: httpx.AsyncClient, done: Job
) -> None:
    await http.post(f"/jobs/{done.id}/reprocess")

    shown = (await http.get("/task-status/hers")).json()

    assert (shown["status"], shown["progress"], shown["revision"], shown["finished_at"]) == ("processing", 0, 1, None)
    assert {name: stage["attempts"] for name, stage in shown["stages"].items()} == dict.fromkeys(shown["stages"], 0)
    assert (list(shown["renditions"]), shown["summary"]) == (["small"], {"ratio": 0.5})
    assert (shown["original"]["width"], shown["placeholder"]) == (40, THUMB)
    assert shown["preset"]["name"] == "default"
    assert shown["reprocessed_at"] is not None


@pytest.mark.parametrize("path", ["/result/hers", "/result/hers/small"])
async def test_meanwhile_its_results_can_be_fetched(http: httpx.AsyncClient, done: Job, path: str) -> None:
    await http.post(f"/jobs/{done.id}/reprocess")

    answer = await http.get(path)

    assert (answer.status_code, answer.content) == (200, b"small")


async def test_meanwhile_no_new_result_can_be_fetched(http: httpx.AsyncClient, done: Job, jobs: FakeJobs) -> None:
    await http.post(f"/jobs/{done.id}/reprocess")
    jobs._documents["hers"].stages["large"] = StageRecord(state=StageState.DONE, result=SMALL)

    answer = await http.get("/result/hers/large")

    assert (answer.status_code, answer.json()["code"]) == (409, "not_ready")


async def test_a_job_whose_reprocessing_failed_says_why_and_is_not_retried(
    http: httpx.AsyncClient, done: Job, jobs: FakeJobs
) -> None:
    await http.post(f"/jobs/{done.id}/reprocess")
    await jobs.mark_dead(await jobs.get("hers"), FAILURE)

    shown, retried = (await http.get("/task-status/hers")).json(), await http.post("/jobs/hers/retry")

    assert (shown["status"], shown["failure"], shown["reprocess_failure"]["code"]) == ("done", None, "image_corrupt")
    assert (retried.status_code, retried.json()["code"]) == (409, "not_retryable")
    assert "reprocess" in retried.json()["detail"]
    assert (await http.post("/jobs/hers/reprocess")).status_code == 202


def test_a_job_gets_the_destination_of_its_preset_if_it_has_the_metadata() -> None:
    presets, has, lacks = build_presets(shop=SHOP), new_job(metadata={"sku": "A-1"}), new_job()

    operation = resolve_again(has, presets, preset_name="shop")

    assert operation.destination is not None
    assert operation.destination.name == "shop"
    with pytest.raises(InvalidRequest) as refused:
        resolve_again(lacks, presets, preset_name="shop")
    [error] = refused.value.extra["errors"]
    assert (error["pointer"], error["message"]) == (
        "/body/preset",
        "The preset shop puts its results under keys that have the metadata sku. This job was uploaded without it.",
    )


def test_a_job_whose_preset_has_another_destination_is_processed_again() -> None:
    preset = build_presets(shop=SHOP).get("shop")
    job = new_job(state=JobState.DONE, operation=preset.resolve({}).model_copy(update={"destination": None}))

    assert needs_reprocess(job, preset.resolve({}))


async def test_a_delete_meanwhile_removes_the_earlier_results_too(
    http: httpx.AsyncClient, done: Job, jobs: FakeJobs, blobs: Blobs
) -> None:
    await http.post(f"/jobs/{done.id}/reprocess")

    assert (await http.delete("/jobs/hers")).status_code == 204

    assert ((await jobs.get("hers")).state, blobs.list_names("hers")) == (JobState.CANCELLED, [])
    answer = await http.get("/result/hers/small")
    assert (answer.status_code, answer.json()["code"]) == (409, "job_failed")


@pytest.mark.parametrize("state", [JobState.ACCEPTED, JobState.PROCESSING, JobState.CANCELLED])
async def test_a_job_that_has_not_ended_or_is_cancelled_is_not_processed_again(
    http: httpx.AsyncClient, jobs: FakeJobs, blobs: Blobs, state: JobState
) -> None:
    job = await insert(jobs, blobs, state=state)

    answer = await http.post(f"/jobs/{job.id}/reprocess")

    assert (answer.status_code, answer.json()["code"]) == (409, "not_reprocessable")
    assert await jobs.get(job.id) == job


async def test_a_job_is_processed_again_once_at_a_time(http: httpx.AsyncClient, done: Job, broker: FakeBroker) -> None:
    answers = [await http.post(f"/jobs/{done.id}/reprocess") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [202, 409]
    assert len(broker.take_messages()) == 1


async def test_an_expired_job_has_no_original(http: httpx.AsyncClient, done: Job, jobs: FakeJobs) -> None:
    assert await jobs.mark_expiring(done)

    answer = await http.post(f"/jobs/{done.id}/reprocess")

    assert (answer.status_code, answer.json()["code"]) == (409, "source_gone")


async def test_a_job_whose_original_was_lost_keeps_its_results(
    http: httpx.AsyncClient, done: Job, jobs: FakeJobs, blobs: Blobs
) -> None:
    blobs.remove("hers", ["original"])

    answer = await http.post(f"/jobs/{done.id}/reprocess")

    assert (answer.status_code, answer.json()["code"]) == (409, "source_gone")
    assert (await jobs.get("hers")).state is JobState.DONE


async def test_a_job_that_has_changed_since_is_not_processed_again(http: httpx.AsyncClient, done: Job) -> None:
    answers = [await http.post(f"/jobs/{done.id}/reprocess", headers={"If-Match": tag}) for tag in ('W/"9"', "*")]

    assert [answer.status_code for answer in answers] == [412, 202]


async def test_an_unknown_preset_is_refused(http: httpx.AsyncClient, done: Job, jobs: FakeJobs) -> None:
    answer = await http.post(f"/jobs/{done.id}/reprocess", json={"preset": "nobody"})

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert answer.json()["errors"][0]["pointer"] == "/body/preset"
    assert await jobs.get("hers") == done


async def test_an_operation_does_the_same_again_and_takes_no_preset(
    http: httpx.AsyncClient, jobs: FakeJobs, blobs: Blobs
) -> None:
    operation = Operation(parameters={"width": 5}, format="webp")
    job = await insert(jobs, blobs, Kind.RESIZE, operation=operation)

    refused = await http.post(f"/jobs/{job.id}/reprocess", json={"preset": "default"})
    answer = await http.post(f"/jobs/{job.id}/reprocess")

    assert (refused.status_code, answer.status_code, answer.json()["preset"]) == (422, 202, None)
    assert (await jobs.get(job.id)).operation == operation


@pytest.mark.usefixtures("broker")
async def test_a_job_without_results_begins_anew(http: httpx.AsyncClient, jobs: FakeJobs, blobs: Blobs) -> None:
    failed = StageRecord(state=StageState.FAILED, attempts=1)
    job = await insert(jobs, blobs, state=JobState.FAILED, failure=FAILURE, stages={"validate": failed})

    assert (await http.post(f"/jobs/{job.id}/reprocess")).status_code == 202

    found = await jobs.get(job.id)
    assert (found.failure, found.previous, found.stages["validate"].state) == (None, None, StageState.PENDING)


async def test_it_is_left_to_the_workers_at_first(http: httpx.AsyncClient, jobs: FakeJobs, done: Job) -> None:
    await http.post(f"/jobs/{done.id}/reprocess")

    assert (await jobs.get("hers")).next_dispatch_ms == pytest.approx(now_ms() + 15_000, abs=2000)


def test_the_preset_of_the_job_is_taken_as_it_is_now() -> None:
    job = new_job(operation=Operation(renditions={"old": 1}, preset=PresetReference(name="shop", version="1")))

    operation = resolve_again(job, presets_with(preset()))

    assert (operation.renditions, operation.preset) == ({"card": 400}, preset().reference)


def test_overrides_stay_where_the_preset_allows_them() -> None:
    operation = Operation(renditions=EDGES, format="gif", quality=50, background="#112233", animated=True)
    shop = preset(fields=("quality", "format"), width=400, height=400)

    kept = resolve_again(new_job(operation=operation), Presets(EDGES))
    limited = resolve_again(new_job(operation=operation), presets_with(shop), preset_name="shop")

    assert kept == operation.model_copy(update={"preset": kept.preset})
    assert (limited.quality, limited.format, limited.background, limited.animated) == (50, "auto", "#ffffff", False)


@pytest.mark.parametrize(("kind", "name"), [(Kind.PREVIEWS, None), (Kind.PREVIEWS, "default"), (Kind.CROP, None)])
def test_a_caller_that_is_limited_to_presets_gets_no_other_results(kind: Kind, name: str | None) -> None:
    limited = Permission(presets=frozenset({"shop"}))

    with pytest.raises(PresetNotAllowed):
        resolve_again(new_job(kind), presets_with(preset()), preset_name=name, permission=limited)


def test_a_job_whose_preset_was_removed_needs_another() -> None:
    job = new_job(operation=Operation(renditions={"old": 1}, preset=PresetReference(name="shop", version="1")))

    with pytest.raises(InvalidRequest):
        resolve_again(job, Presets(EDGES))


@pytest.mark.parametrize(
    ("state", "edges", "needed"),
    [(JobState.DONE, EDGES, False), (JobState.DONE, {"small": 1}, True), (JobState.DEAD, EDGES, True)],
)
def test_a_job_needs_it_that_lacks_what_would_be_made(state: JobState, edges: dict[str, int], *, needed: bool) -> None:
    job = new_job(state=state, renditions=edges)  # from before there were presets

    assert needs_reprocess(job, resolve_again(job, Presets(EDGES))) is needed


def test_a_preset_that_is_gone_is_refused_with_the_names_that_the_caller_may_use() -> None:
    permission = Permission(presets=frozenset({"gone", "default"}))

    with pytest.raises(InvalidRequest) as refused:
        resolve_again(new_job(), presets_with(preset("theirs")), preset_name="gone", permission=permission)

    assert refused.value.extra["errors"][0]["message"] == "There is no preset 'gone'. Use one of: default."
