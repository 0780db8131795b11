"""Resumable uploads with an upload token: the same limits as for a form, checked before the bytes are sent."""

from __future__ import annotations

from hashlib import sha256

import httpx
import pytest

from pipeline.settings import Settings
from storage.stores import Stores
from tests.contract.conftest import create_client, create_gateway
from tests.contract.http_helpers import JPEG, list_job_ids
from tests.contract.test_resumable_crashes import Intercepted, intercept
from tests.contract.tus_helpers import VERSION, create, create_upload, head, patch
from tests.support.tokens import SECRETS, ZOE_SECRET, bearer, sign, upload_claims


@pytest.fixture
def settings(settings: Settings) -> Settings:
    keys = {owner: sha256(f"{owner}'s key".encode()).hexdigest() for owner in ("ada", "zoe")}
    return settings.model_copy(update={"api_keys": keys, "signing_secrets": SECRETS})


async def test_the_last_bytes_are_answered_with_a_token_that_reads_the_job(
    http: httpx.AsyncClient, stores: Stores
) -> None:
    token = bearer(upload_claims(metadata={"order": "4711"}))
    path = await create_upload(http, headers=token)

    answer = await patch(http, path, JPEG, 0, **token)

    job = await stores.jobs.get(answer.headers["task-id"])
    status = await http.get(f"/task-status/{job.id}", params={"token": answer.headers["view-token"]})
    assert (job.owner, job.token_id, job.metadata) == ("ada", "token-one", {"order": "4711"})
    assert status.json()["task_id"] == job.id


@pytest.mark.parametrize(
    ("limits", "status", "code"),
    [
        ({"max_bytes": len(JPEG) - 1}, 413, "upload_too_large"),
        ({"formats": ["png"]}, 415, "format_not_allowed"),
    ],
    ids=["size", "format"],
)
async def test_a_file_that_the_token_does_not_allow_is_refused(
    http: httpx.AsyncClient, stores: Stores, limits: dict[str, object], status: int, code: str
) -> None:
    token = bearer(upload_claims(**limits))
    answer = await create(http, headers=token)

    if answer.status_code == 201:
        answer = await patch(http, answer.headers["location"], JPEG, 0, **token)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert stores.blobs.list_folders() == []


async def test_a_token_that_is_used_up_makes_no_second_job(http: httpx.AsyncClient) -> None:
    token = bearer(upload_claims(uses=1))
    first, second = [await create_upload(http, headers=token) for _ in range(2)]
    assert (await patch(http, first, JPEG, 0, **token)).status_code == 204

    answers = [await patch(http, second, JPEG, 0, **token), await create(http, headers=token)]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(403, "token_used_up")] * 2
    assert len(await list_job_ids()) == 1


async def test_last_bytes_that_are_refused_leave_nothing_beside_the_parts(
    http: httpx.AsyncClient, stores: Stores
) -> None:
    token = bearer(upload_claims(uses=1))
    first, second = [await create_upload(http, headers=token) for _ in range(2)]
    await patch(http, second, JPEG[:100], 0, **token)
    await patch(http, first, JPEG, 0, **token)
    parts = stores.blobs.list_all_names(second.rpartition("/")[2])

    answers = [await patch(http, second, JPEG[100:], 100, **token) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [403, 403]
    assert stores.blobs.list_all_names(second.rpartition("/")[2]) == parts


async def test_last_bytes_that_a_token_was_used_up_for_are_taken_with_one_of_the_same_id_for_more_jobs(
    http: httpx.AsyncClient,
) -> None:
    token, renewed = bearer(upload_claims(uses=1)), bearer(upload_claims(uses=2))
    first, second = [await create_upload(http, headers=token) for _ in range(2)]
    await patch(http, second, JPEG[:100], 0, **token)
    await patch(http, first, JPEG, 0, **token)

    answers = [await patch(http, second, JPEG[100:], 100, **each) for each in (token, renewed)]

    assert [answer.status_code for answer in answers] == [403, 204]


async def test_an_upload_whose_stored_bytes_are_lost_gives_its_use_back(
    http: httpx.AsyncClient, stores: Stores
) -> None:
    token = bearer(upload_claims(uses=1))
    path = await create_upload(http, headers=token)
    await patch(http, path, JPEG[:100], 0, **token)
    stores.blobs.remove_folder(path.rpartition("/")[2])
    assert (await patch(http, path, JPEG[100:], 100, **token)).status_code == 410

    answer = await patch(http, await create_upload(http, headers=token), JPEG, 0, **token)

    assert answer.status_code == 204


async def test_an_upload_that_is_removed_before_the_insert_gives_its_use_back(
    http: httpx.AsyncClient, stores: Stores, settings: Settings
) -> None:
    token = bearer(upload_claims(uses=1))
    path = await create_upload(http, headers=token)

    class Removed(Intercepted):
        async def interrupt(self) -> None:
            await http.delete(path, headers=VERSION | token)

    overtaken, _ = intercept(stores, "resumable_uploads begin_insert before", Removed)
    async with create_client(create_gateway(overtaken, settings)) as other:
        removed = await patch(other, path, JPEG, 0, **token)

    again = await patch(http, await create_upload(http, headers=token), JPEG, 0, **token)

    assert (removed.status_code, again.status_code) == (410, 204)


async def test_the_last_bytes_again_use_nothing_up(http: httpx.AsyncClient) -> None:
    token = bearer(upload_claims(uses=1))
    path = await create_upload(http, headers=token)
    first = await patch(http, path, JPEG, 0, **token)

    again = await patch(http, path, JPEG, 0, **token)

    assert (again.status_code, again.headers["task-id"]) == (204, first.headers["task-id"])


async def test_an_upload_is_found_by_its_token_only_and_by_a_new_one_with_the_same_id(http: httpx.AsyncClient) -> None:
    path = await create_upload(http, headers=bearer(upload_claims(jti="session-one")))

    zoe = {"Authorization": f"Bearer {sign(upload_claims(sub='zoe', jti='session-one'), ZOE_SECRET)}"}
    others, renewed = [bearer(upload_claims(jti="session-two")), zoe], bearer(upload_claims(jti="session-one", uses=3))

    assert [(await head(http, path, **token)).status_code for token in others] == [404, 404]
    assert (await head(http, path, **renewed)).status_code == 200
