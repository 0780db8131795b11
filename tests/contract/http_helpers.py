"""Asking a gateway for work: a cat, two owners, and one way to post."""

from __future__ import annotations

import httpx

from storage.documents import Job
from storage.stores import Stores
from tests.support.fakes import FORM_TYPE, form, part

JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 100
CAT_PART = part("file", JPEG, filename="cat.jpg")
ADA_KEY, ZOE_KEY = "ada's key", "zoe's key"


async def post(
    http: httpx.AsyncClient,
    *parts: bytes,
    path: str = "/upload",
    key: str | None = None,
    api_key: str | None = None,
    **headers: str,
) -> httpx.Response:
    given = {"Content-Type": FORM_TYPE, "Idempotency-Key": key, "X-API-Key": api_key, **headers}
    sent = {name.replace("_", "-"): value for name, value in given.items() if value is not None}
    return await http.post(path, content=form(*parts), headers=sent)


async def get_accepted_job(stores: Stores, answer: httpx.Response) -> Job:
    assert answer.status_code == 202, answer.text
    return await stores.jobs.get(answer.json()["task_id"])


async def list_job_ids() -> list[str]:
    return [job.id for job in await Job.find_all().to_list()]
