"""Variants over real stores: what a document keeps of them, and the object store that sends them itself."""

from __future__ import annotations

from dataclasses import replace

import httpx

from pipeline.http_settings import ResultsSettings
from pipeline.settings import Settings
from storage.blobs import Blobs
from storage.documents import JobState, PreviousResults, StageRecord
from storage.stores import Stores
from tests.contract.conftest import create_client, create_gateway
from tests.support.http_options import HTTP_CLIENT_OPTIONS
from tests.support.variants import content_of, done_card

CHROMIUM = {"Accept": "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"}


async def test_variants_are_served_from_the_document_also_while_their_job_is_reprocessed(
    http: httpx.AsyncClient, stores: Stores
) -> None:
    done = done_card(stores.blobs)
    previous = PreviousResults(operation=done.operation, stages=done.stages)
    stages = dict.fromkeys(done.stages, StageRecord())
    fields = {"id": done_card(stores.blobs).id, "previous": previous, "stages": stages, "state": JobState.PROCESSING}
    for job in (done, done.model_copy(update=fields)):
        await stores.jobs.insert(job)

        answers = [await http.get(f"/result/{job.id}/{name}", headers=CHROMIUM) for name in ("card", "card@2x.jpg")]
        status = (await http.get(f"/task-status/{job.id}")).json()

        assert [answer.content for answer in answers] == [content_of("avif", 1), content_of("jpeg", 2)]
        assert len(status["renditions"]["card"]["variants"]) == 6


async def test_a_redirect_leads_to_the_variant_and_depends_on_accept_as_the_bytes_do(
    stores: Stores, settings: Settings, bucket_url: str
) -> None:
    blobs = Blobs.open(bucket_url)
    await stores.jobs.insert(job := done_card(blobs))
    redirecting = settings.model_copy(update={"results": ResultsSettings(redirect=True)})
    asked: list[tuple[str, dict[str, str]]] = [("card", CHROMIUM), ("card", {}), ("card@2x.webp", CHROMIUM)]

    async with create_client(create_gateway(replace(stores, blobs=blobs), redirecting)) as client:
        answers = [await client.get(f"/result/{job.id}/{path}", headers=headers) for path, headers in asked]
    async with httpx.AsyncClient(**HTTP_CLIENT_OPTIONS) as client:
        contents = [(await client.get(answer.headers["location"])).content for answer in answers]

    assert [answer.headers.get("vary") for answer in answers] == ["Accept", "Accept", None]
    assert {(answer.status_code, answer.headers["cache-control"]) for answer in answers} == {(307, "no-store")}
    assert contents == [content_of("avif", 1), content_of("jpeg", 1), content_of("webp", 2)]
