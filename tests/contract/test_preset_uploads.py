"""Uploads with presets over real stores: form, query, tus; keys and tokens that are limited to presets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from pipeline.settings import Settings
from storage.stores import Stores
from tests.contract.conftest import create_client, create_gateway
from tests.contract.http_helpers import CAT_PART, JPEG, get_accepted_job, list_job_ids, post
from tests.contract.tus_helpers import create, create_upload, patch
from tests.support.fakes import FORM_TYPE, form, part
from tests.support.presets import ICONS, PRODUCT, use_presets
from tests.support.tokens import SECRETS, bearer, upload_claims

PRODUCT_FIELD, ICONS_FIELD = part("preset", b"product"), part("preset", b"icons")
OPERATIONS = {"/crop": part("aspect", b"1:1"), "/grayscale": b"", "/resize": part("width", b"10")}


@pytest.fixture
def gateway(gateway: FastAPI) -> FastAPI:
    """A gateway that has the presets of the tests."""
    return use_presets(gateway)


@pytest.fixture
async def keyed(stores: Stores, settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A gateway where Zoe's key is for the presets product and icons."""
    keys = {owner: sha256(f"{owner}'s key".encode()).hexdigest() for owner in ("ada", "zoe")}
    changes = {"api_keys": keys, "signing_secrets": SECRETS, "key_presets": {"zoe": ("product", "icons")}}
    async with create_client(use_presets(create_gateway(stores, settings.model_copy(update=changes)))) as client:
        yield client


async def send(http: httpx.AsyncClient, headers: dict[str, str], path: str = "/upload", *parts: bytes) -> Any:
    body = form(CAT_PART, *filter(None, parts))
    return await http.post(path, content=body, headers=headers | {"Content-Type": FORM_TYPE})


async def test_a_job_has_the_stages_of_its_preset(http: httpx.AsyncClient, stores: Stores) -> None:
    job = await get_accepted_job(stores, await post(http, CAT_PART, PRODUCT_FIELD))

    assert list(job.stages) == ["validate", "normalize", "card", "thumb", "finalize"]
    assert job.operation.preset is not None
    assert job.operation.preset.name == "product"


async def test_a_raw_body_has_its_preset_in_the_query(http: httpx.AsyncClient, stores: Stores) -> None:
    answer = await http.post(
        "/upload", params={"preset": "icons"}, content=JPEG, headers={"Content-Type": "image/jpeg"}
    )

    assert (await get_accepted_job(stores, answer)).operation.renditions == {"icon": 32}


async def test_a_refused_preset_leaves_nothing(http: httpx.AsyncClient, stores: Stores) -> None:
    answer = await post(http, CAT_PART, part("preset", b"icon"), part("quality", b"0"))

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_form")
    assert {error["pointer"] for error in answer.json()["errors"]} == {"/preset", "/quality"}
    assert (await list_job_ids(), stores.blobs.list_folders()) == ([], [])


async def test_a_key_replays_a_request_whose_preset_has_changed(
    http: httpx.AsyncClient, gateway: FastAPI, stores: Stores
) -> None:
    first = await post(http, CAT_PART, PRODUCT_FIELD, key="once")
    use_presets(gateway, product=PRODUCT | {"renditions": {"card": {"edge": 9}}}, icons=ICONS)

    again = await post(http, CAT_PART, PRODUCT_FIELD, key="once")
    other = await post(http, CAT_PART, part("preset", b"icons"), key="once")

    assert (again.headers["idempotency-replayed"], again.json()["task_id"]) == ("true", first.json()["task_id"])
    assert "thumb" in (await get_accepted_job(stores, first)).stages
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


async def test_a_key_replays_a_request_when_the_default_of_a_file_has_changed(
    http: httpx.AsyncClient, gateway: FastAPI
) -> None:
    use_presets(gateway, default={"renditions": {"card": {"edge": 8}}})
    first = await post(http, CAT_PART, key="once")
    use_presets(gateway, default={"renditions": {"card": {"edge": 9}}})

    again = await post(http, CAT_PART, key="once")

    assert (again.headers["idempotency-replayed"], again.json()["task_id"]) == ("true", first.json()["task_id"])


async def test_an_upload_in_parts_has_the_preset_as_it_is_when_it_is_complete(
    http: httpx.AsyncClient, gateway: FastAPI, stores: Stores
) -> None:
    path = await create_upload(http, preset="product")
    use_presets(gateway, product={"renditions": {"card": {"edge": 9}}})

    answer = await patch(http, path, JPEG, 0)

    job = await stores.jobs.get(answer.headers["task-id"])
    assert job.operation.renditions == {"card": 9}


async def test_an_upload_in_parts_of_an_unknown_preset_is_not_created(http: httpx.AsyncClient) -> None:
    answer = await create(http, preset="zoom")

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/preset")


async def test_a_token_uploads_with_its_presets_only(keyed: httpx.AsyncClient, stores: Stores) -> None:
    one, two = (bearer(upload_claims(presets=names)) for names in (["product"], ["product", "icons"]))

    assert "card" in (await get_accepted_job(stores, await send(keyed, one))).stages
    assert "icon" in (await get_accepted_job(stores, await send(keyed, two, "/upload", ICONS_FIELD))).stages
    for headers, field in ((one, ICONS_FIELD), (two, b""), (two, part("preset", b"banner"))):
        answer = await send(keyed, headers, "/upload", field)
        assert (answer.status_code, answer.json()["code"]) == (403, "preset_not_allowed")


@pytest.mark.parametrize(("path", "field"), OPERATIONS.items())
async def test_a_token_that_is_limited_to_presets_makes_no_operations(
    keyed: httpx.AsyncClient, path: str, field: bytes
) -> None:
    headers = bearer(upload_claims(preset="product"))

    answers = [
        await send(keyed, headers, path, field),
        await create(keyed, headers=headers, operation=path[1:], aspect="1:1", width="10"),
    ]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(403, "preset_not_allowed")] * 2


async def test_the_limits_of_a_key_hold_for_its_tokens(keyed: httpx.AsyncClient, stores: Stores) -> None:
    key, token = {"X-API-Key": "zoe's key"}, bearer(upload_claims(sub="zoe"), SECRETS["zoe"][0].get_secret_value())

    for headers in (key, token):
        await get_accepted_job(stores, await send(keyed, headers, "/upload", PRODUCT_FIELD))
        for path, field in (("/upload", b""), ("/upload", part("preset", b"banner")), ("/grayscale", b"")):
            assert (await send(keyed, headers, path, field)).json()["code"] == "preset_not_allowed"
    assert (await send(keyed, {"X-API-Key": "ada's key"}, "/grayscale")).status_code == 202


async def test_a_key_that_is_limited_to_presets_reprocesses_with_these_only(
    keyed: httpx.AsyncClient, stores: Stores
) -> None:
    key = {"X-API-Key": "zoe's key"}
    job = await get_accepted_job(stores, await send(keyed, key, "/upload", PRODUCT_FIELD))

    answers = [
        await keyed.post(f"/jobs/{job.id}/reprocess", json={"preset": name}, headers=key)
        for name in ("banner", "icons")
    ]

    assert [answer.json()["code"] for answer in answers] == ["preset_not_allowed", "not_reprocessable"]


async def test_the_presets_of_a_token_are_checked_again_when_an_upload_in_parts_is_complete(
    keyed: httpx.AsyncClient,
) -> None:
    wide, narrow = (bearer(upload_claims(presets=names)) for names in (["product", "icons"], ["icons"]))
    path = await create_upload(keyed, preset="product", headers=wide)

    answer = await patch(keyed, path, JPEG, 0, **narrow)

    assert (answer.status_code, answer.json()["code"]) == (403, "preset_not_allowed")
