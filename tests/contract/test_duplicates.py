"""Twins over real stores: a repeated request has copies of what was made for it before."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import httpx
import pytest
from redis import Redis

from pipeline.routing import FETCH
from pipeline.stage_order import stage_by_rendition, stage_order_of
from storage.documents import Job, JobState, Kind, Operation, Source, StageRecord, StageState, result_blobs
from storage.stores import Stores
from tests.contract.http_helpers import ADA_KEY, CAT_PART, JPEG, get_accepted_job, post
from tests.support.fakes import RENDITIONS, new_job, part

FACTS = {"frames": 1, "colour_space": {"name": "sRGB", "source": "none"}}


def output(job_id: str, name: str, stage: str) -> StageRecord:
    """Return the record of a stage that made a rendition."""
    result = {
        "blob": f"{job_id}/{name}.1",
        "format": "jpeg",
        "media_type": "image/jpeg",
        "width": 160,
        "height": 120,
        "bytes": len(stage),
        "sha256": sha256(stage.encode()).hexdigest(),
    }
    return StageRecord(state=StageState.DONE, attempts=1, result=result)


async def finished(
    stores: Stores,
    kind: Kind = Kind.PREVIEWS,
    *,
    facts: dict[str, Any] = FACTS,
    variants: Mapping[str, list[str]] | None = None,
    more_stages: Mapping[str, StageRecord] | None = None,
    **fields: Any,
) -> Job:
    """Accept a job on the cat's bytes that is done and has its renditions; `variants` are the names of their blobs."""
    blank = new_job(kind, **fields)
    done = dict.fromkeys(blank.stages, StageRecord(state=StageState.DONE, attempts=1, result=facts))
    made = {stage: output(blank.id, name, stage) for name, stage in stage_by_rendition(blank).items()}
    for name, blobs in (variants or {}).items():
        recorded = made[name].result or {}
        files = [recorded | {"blob": f"{blank.id}/{blob}", "dpr": dpr} for dpr, blob in enumerate(blobs, 1)]
        made[name] = made[name].model_copy(update={"result": recorded | {"blob": files[0]["blob"], "variants": files}})
    values: dict[str, Any] = {
        "id": blank.id,
        "state": JobState.DONE,
        "owner": "ada",
        "stages": done | made | dict(more_stages or {}),
        "original": blank.original.model_copy(update={"sha256": sha256(JPEG).hexdigest()}),
    }
    job = new_job(kind, **(values | fields))
    await stores.jobs.insert(job)
    for record in made.values():
        for blob in result_blobs(record.result):
            stores.blobs.put(blob, blob.partition("/")[2].encode())
    return job


async def test_a_job_with_a_twin_is_done_at_once(keyed_client: httpx.AsyncClient, stores: Stores) -> None:
    duplicate = await finished(stores)

    answer = await post(keyed_client, CAT_PART, api_key=ADA_KEY)

    assert (answer.status_code, answer.json()["status"]) == (202, "done")
    assert answer.json()["deduplicated_from"] == duplicate.id


async def test_a_job_with_a_twin_is_recorded_as_done(keyed_client: httpx.AsyncClient, stores: Stores) -> None:
    duplicate = await finished(stores)

    job = await get_accepted_job(stores, await post(keyed_client, CAT_PART, api_key=ADA_KEY))

    assert {record.state for record in job.stages.values()} == {StageState.DONE}
    assert (job.state, job.finalizations, job.deduplicated_from) == (JobState.DONE, 1, duplicate.id)
    assert job.finished_ms is not None


async def test_a_job_with_a_twin_has_copies_of_its_renditions(keyed_client: httpx.AsyncClient, stores: Stores) -> None:
    duplicate = await finished(stores)
    job = await get_accepted_job(stores, await post(keyed_client, CAT_PART, api_key=ADA_KEY))

    stores.blobs.remove_folder(duplicate.id)

    assert {name: stores.blobs.get((job.stages[name].result or {})["blob"]) for name in RENDITIONS} == {
        name: f"{name}.1".encode() for name in RENDITIONS
    }


async def test_an_upload_whose_twin_was_fetched_is_a_job_that_can_be_read(
    keyed_client: httpx.AsyncClient, stores: Stores
) -> None:
    fetch = StageRecord(state=StageState.DONE, attempts=1, result={"bytes": len(JPEG)})
    source = Source(address="https://shop.example/cat.jpg")
    twin = await finished(stores, more_stages={FETCH: fetch}, source=source)

    job = await get_accepted_job(stores, await post(keyed_client, CAT_PART, api_key=ADA_KEY))

    assert job.deduplicated_from == twin.id
    assert list(job.stages) == [name for names in stage_order_of(job) for name in names]


async def test_a_job_with_a_twin_keeps_its_blobs_in_its_own_folder(
    keyed_client: httpx.AsyncClient, stores: Stores
) -> None:
    await finished(stores)

    job = await get_accepted_job(stores, await post(keyed_client, CAT_PART, api_key=ADA_KEY))

    assert sorted(stores.blobs.list_names(job.id)) == ["large.1", "medium.1", "original", "small.1"]
    assert [(job.stages[name].result or {})["blob"] for name in RENDITIONS] == [f"{job.id}/{n}.1" for n in RENDITIONS]


async def test_a_job_with_a_twin_has_copies_of_all_variants(keyed_client: httpx.AsyncClient, stores: Stores) -> None:
    names = ["small.jpeg.1", "small@2x.jpeg.1"]
    duplicate = await finished(stores, variants={"small": names})

    job = await get_accepted_job(stores, await post(keyed_client, CAT_PART, api_key=ADA_KEY))

    stores.blobs.remove_folder(duplicate.id)
    result = job.stages["small"].result or {}
    assert result["blob"] == f"{job.id}/{names[0]}"
    assert [variant["blob"] for variant in result["variants"]] == [f"{job.id}/{name}" for name in names]
    assert [stores.blobs.get(f"{job.id}/{name}") for name in names] == [name.encode() for name in names]


async def test_a_job_with_a_twin_is_not_published(
    keyed_client: httpx.AsyncClient, stores: Stores, redis: Redis
) -> None:
    await finished(stores)

    await post(keyed_client, CAT_PART, api_key=ADA_KEY)

    assert redis.llen("validate") == 0


async def test_an_operation_has_a_twin_too(keyed_client: httpx.AsyncClient, stores: Stores) -> None:
    duplicate = await finished(stores, Kind.RESIZE, operation=Operation(parameters=resize_by(width=30)))

    answer = await post(keyed_client, CAT_PART, part("width", b"30"), path="/resize", api_key=ADA_KEY)

    job = await get_accepted_job(stores, answer)
    assert job.deduplicated_from == duplicate.id
    assert stores.blobs.get((job.stages["transform"].result or {})["blob"]) == b"output.1"


@pytest.mark.parametrize(
    "fields",
    [
        {"owner": "zoe"},
        {"owner": None},
        {"kind": Kind.RESIZE, "operation": Operation(parameters={"width": 31, "fit": "contain", "enlarge": False})},
        {"kind": Kind.CROP, "operation": Operation(parameters={"width": 30, "fit": "contain", "enlarge": False})},
        {"state": JobState.DEAD},
        {"blobs_removed_ms": 1},
    ],
    ids=["another owner", "nobody", "another width", "another operation", "not done", "expired"],
)
async def test_a_job_without_a_twin_is_worked_on(
    keyed_client: httpx.AsyncClient, stores: Stores, redis: Redis, fields: dict[str, Any]
) -> None:
    defaults: dict[str, Any] = {"kind": Kind.RESIZE, "operation": Operation(parameters=resize_by(width=30))}
    await finished(stores, **(defaults | fields))

    job = await get_accepted_job(
        stores, await post(keyed_client, CAT_PART, part("width", b"30"), path="/resize", api_key=ADA_KEY)
    )

    assert (job.state, job.deduplicated_from, redis.llen("validate")) == (JobState.ACCEPTED, None, 1)


@pytest.mark.parametrize("missing", list(RENDITIONS))
async def test_a_job_whose_twin_expires_meanwhile_is_worked_on(
    keyed_client: httpx.AsyncClient, stores: Stores, redis: Redis, missing: str
) -> None:
    duplicate = await finished(stores)
    stores.blobs.remove(duplicate.id, [f"{missing}.1"])

    job = await get_accepted_job(stores, await post(keyed_client, CAT_PART, api_key=ADA_KEY))

    assert (job.state, job.deduplicated_from, redis.llen("validate")) == (JobState.ACCEPTED, None, 1)
    assert {record.state for record in job.stages.values()} == {StageState.PENDING}


async def test_what_an_older_version_has_made_is_made_again(
    keyed_client: httpx.AsyncClient, stores: Stores, redis: Redis
) -> None:
    await finished(stores, facts={"frames": 1})

    job = await get_accepted_job(stores, await post(keyed_client, CAT_PART, api_key=ADA_KEY))

    assert (job.state, job.deduplicated_from, redis.llen("validate")) == (JobState.ACCEPTED, None, 1)


async def test_twins_are_not_looked_for_unless_they_are_wanted(http: httpx.AsyncClient, stores: Stores) -> None:
    await finished(stores, owner=None)

    job = await get_accepted_job(stores, await post(http, CAT_PART))

    assert (job.state, job.deduplicated_from) == (JobState.ACCEPTED, None)


def resize_by(*, width: int) -> dict[str, Any]:
    """Return the parameters of a resize to a width."""
    return {"width": width, "fit": "contain", "enlarge": False}


async def test_a_job_with_a_twin_that_was_reprocessed_writes_no_blob_that_it_has(
    keyed_client: httpx.AsyncClient, stores: Stores
) -> None:
    duplicate = await finished(stores, revision=1)
    job = await get_accepted_job(stores, await post(keyed_client, CAT_PART, api_key=ADA_KEY))
    options: dict[str, Any] = {"stages": list(job.stages), "lane": job.lane, "next_dispatch_ms": 0}
    await stores.jobs.clear_outbox(job)

    revised = await stores.jobs.reprocess(job, job.operation, **options)

    assert revised is not None
    assert revised.revision == duplicate.revision + 1
