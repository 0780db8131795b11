"""`POST /process` over real stores: the ways to send steps, and what a job stores of them."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from pipeline.preset_settings import PresetLimits
from pipeline.settings import Settings
from storage.documents import Kind
from storage.stores import Stores
from tests.contract.conftest import create_client, create_gateway
from tests.contract.http_helpers import CAT_PART, JPEG, get_accepted_job, list_job_ids, post
from tests.contract.tus_helpers import create, create_upload, patch
from tests.support.fakes import part
from tests.support.presets import PRODUCT, use_presets

STEPS = [{"crop": [1, 1]}, {"watermark": "logo.png"}, {"blur": 3}, {"format": "webp"}]
TEXT = json.dumps(STEPS)
STORED = {
    "steps": [{"crop": {"aspect": [1, 1]}}, {"watermark": {"image": "logo.png"}}, {"blur": {"radius": 3.0}}],
}
LOGO, NEW_LOGO = "ab" * 32, "cd" * 32


@pytest.fixture
def gateway(gateway: FastAPI) -> FastAPI:
    """A gateway whose presets name the image file logo.png."""
    return use_presets(gateway, assets={"logo.png": LOGO}, product=PRODUCT)


async def process(http: httpx.AsyncClient, steps: object = STEPS, **headers: Any) -> httpx.Response:
    return await post(http, CAT_PART, part("steps", json.dumps(steps).encode()), path="/process", **headers)


async def test_a_job_stores_the_steps_their_image_files_and_the_format(http: httpx.AsyncClient, stores: Stores) -> None:
    job = await get_accepted_job(stores, await process(http))

    assert (job.kind, list(job.stages)) == (Kind.PROCESS, ["validate", "transform", "finalize"])
    assert (job.operation.parameters, job.operation.format) == (STORED, "webp")
    assert job.operation.asset_digests == {"logo.png": LOGO}


async def test_steps_may_come_in_the_query_as_a_blob_of_json_and_in_metadata(
    http: httpx.AsyncClient, stores: Stores
) -> None:
    blob = (
        b'--form\r\nContent-Disposition: form-data; name="steps"; filename="blob"\r\n'
        b"Content-Type: application/json\r\n\r\n" + TEXT.encode() + b"\r\n--form\r\n"
        b'Content-Disposition: form-data; name="file"; filename="cat.jpg"\r\n\r\n' + JPEG + b"\r\n--form--\r\n"
    )
    in_parts = await patch(http, await create_upload(http, operation="process", steps=TEXT), JPEG, 0)

    answers = [
        await http.post("/process", params={"steps": TEXT}, content=JPEG, headers={"Content-Type": "image/jpeg"}),
        await http.post("/process", content=blob, headers={"Content-Type": "multipart/form-data; boundary=form"}),
    ]

    jobs = [await get_accepted_job(stores, answer) for answer in answers]
    jobs.append(await stores.jobs.get(in_parts.headers["task-id"]))
    assert [job.operation.parameters for job in jobs] == [STORED] * 3
    assert [job.kind for job in jobs] == [Kind.PROCESS] * 3


async def test_every_broken_rule_of_the_steps_is_in_the_answer(http: httpx.AsyncClient, stores: Stores) -> None:
    wrong = [{"blur": {"radius": 300}}, {"watermark": "lgoo.png"}, "sepia"]

    answers = [await process(http, wrong), await create(http, operation="process", steps=json.dumps(wrong))]

    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_form")
        pointers = [error["pointer"] for error in answer.json()["errors"]]
        assert pointers == ["/steps/0/blur/radius", "/steps/1/watermark", "/steps/2"]
    assert (await list_job_ids(), stores.blobs.list_folders()) == ([], [])


async def test_the_setting_says_how_many_steps_there_may_be(stores: Stores, settings: Settings) -> None:
    limited = settings.model_copy(update={"preset_limits": PresetLimits(steps=2)})

    async with create_client(create_gateway(stores, limited)) as http:
        answers = [await process(http, ["grayscale"] * count) for count in (2, 3)]

    assert [answer.status_code for answer in answers] == [202, 422]
    assert answers[1].json()["errors"][0]["limit"] == 2


async def test_the_same_steps_are_the_same_request_also_after_a_change_of_the_image_file(
    http: httpx.AsyncClient, gateway: FastAPI, stores: Stores
) -> None:
    first = await process(http, key="once")
    use_presets(gateway, assets={"logo.png": NEW_LOGO}, product=PRODUCT)

    again = await process(http, [{"crop": {"aspect": [1, 1]}}, *STEPS[1:]], key="once")
    other = await process(http, STEPS[1:], key="once")

    assert (again.headers["idempotency-replayed"], again.json()["task_id"]) == ("true", first.json()["task_id"])
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert (await get_accepted_job(stores, first)).operation.asset_digests == {"logo.png": LOGO}


async def test_steps_apply_to_the_original_of_an_earlier_job(http: httpx.AsyncClient, stores: Stores) -> None:
    source = await get_accepted_job(stores, await process(http))

    answer = await post(
        http, part("source_task_id", source.id.encode()), part("steps", b'["grayscale"]'), path="/process"
    )

    job = await get_accepted_job(stores, answer)
    assert (job.source_task_id, job.original.sha256) == (source.id, source.original.sha256)
