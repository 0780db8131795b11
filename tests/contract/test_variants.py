"""The files of a rendition over real stores: all formats and densities are written, recorded, counted and removed."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from prometheus_client import CollectorRegistry
from redis import Redis

from gateway.image_requests import ImageRequest
from gateway.permission import Permission
from pipeline import tasks
from pipeline.metrics import StageMetrics
from pipeline.results import find_results, find_variants
from pipeline.settings import Settings
from pipeline.stage_run import StageRun
from pipeline.worker_child import WorkerChild, open_worker_child
from stages.rendition import Rendition
from stages.resize import Variant
from storage.documents import Job, JobState, Operation, asset_key, list_assets, result_blobs
from storage.stores import Stores
from tests.support.fakes import new_job
from tests.support.images import cutout, decode_image, encode_image, photo
from tests.support.presets import build_presets
from tests.support.stage_tasks import run_stages, run_task

FORMATS = ["webp", "png", "jpeg"]
CARD = {"width": 40, "height": 40, "fit": "cover", "formats": FORMATS, "dpr": [1, 2]}
RENDITIONS: dict[str, Any] = {"card": CARD, "small": 24}
FILES = ["card.webp", "card@2x.webp", "card.png", "card@2x.png", "card.jpeg", "card@2x.jpeg"]
LOGO = {"watermark": {"image": "logo.png", "anchor": "south-east", "size": 0.5}}


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def child(settings: Settings, redis: Redis, registry: CollectorRegistry, tmp_path: Path) -> Iterator[WorkerChild]:  # noqa: ARG001
    """A worker whose blobs are files."""
    on_disk = settings.model_copy(update={"blob_url": tmp_path.as_uri()})
    with open_worker_child(on_disk, StageMetrics(registry)) as child:
        yield child


async def submit(child: WorkerChild, stores: Stores, picture: Image.Image, **operation: Any) -> Job:
    wanted = Operation(**{"renditions": RENDITIONS} | operation)
    job = new_job(operation=wanted, renditions=dict.fromkeys(wanted.renditions, 1))
    child.blobs.put(job.original.blob, encode_image(picture))
    await stores.jobs.insert(job)
    return job


def claim(child: WorkerChild, job: Job, stage: str, message_id: str) -> StageRun:
    found = StageRun.claim(child, job.id, stage, message_id=message_id, worker="here")
    assert found is not None
    return found


def variants(*formats: str) -> Iterator[Variant]:
    """Make variants, and end as a process does that is killed."""
    for name in formats:
        yield Variant(Rendition(b"not whole", name, f"image/{name}", 1, 1), (1,))
    raise KeyboardInterrupt


async def test_a_rendition_has_a_file_for_each_format_and_density(child: WorkerChild, stores: Stores) -> None:
    job = await submit(child, stores, photo(200, 150))

    run_stages(job)

    result = find_results(await stores.jobs.get(job.id))["card"]
    found = find_variants(result)
    assert [variant["blob"] for variant in found] == [f"{job.id}/{name}.1" for name in FILES]
    assert [(variant["format"], variant["dpr"]) for variant in found] == [
        (name, dpr) for name in FORMATS for dpr in (1, 2)
    ]
    for variant in found:
        image = decode_image(child.blobs.get(variant["blob"]))
        assert image.format == variant["format"].upper()
        assert image.size == (variant["width"], variant["height"]) == (40 * variant["dpr"],) * 2
    main = {field: value for field, value in found[4].items() if field != "dpr"}
    assert {field: value for field, value in result.items() if field != "variants"} == main


async def test_a_rendition_that_is_only_an_edge_has_the_record_that_it_had(child: WorkerChild, stores: Stores) -> None:
    job = await submit(child, stores, photo(200, 150))

    run_stages(job)

    result = find_results(await stores.jobs.get(job.id))["small"]
    assert set(result) == {"blob", "format", "media_type", "width", "height", "bytes", "sha256"}
    assert (result["blob"], result["width"], result["height"]) == (f"{job.id}/small.1", 24, 18)


async def test_a_density_that_the_original_is_too_small_for_repeats_a_record(
    child: WorkerChild, stores: Stores
) -> None:
    job = await submit(child, stores, photo(40, 50), renditions={"card": CARD, "one": CARD | {"formats": ["png"]}})

    run_stages(job)

    found = find_results(await stores.jobs.get(job.id))
    low, high = [variant for variant in find_variants(found["card"]) if variant["format"] == "png"]
    assert high == low | {"dpr": 2}
    assert [(each["blob"], each["dpr"]) for each in find_variants(found["one"])] == [
        (f"{job.id}/one.png.1", 1),
        (f"{job.id}/one.png.1", 2),  # so an address with this density gets it, too
    ]
    assert sorted(child.blobs.list_names(job.id)) == [
        "card.jpeg.1",
        "card.png.1",
        "card.webp.1",
        "one.png.1",
        "original",
    ]


async def test_an_image_on_demand_has_the_padding_of_the_densities_that_are_not_made(
    child: WorkerChild, stores: Stores
) -> None:
    padded = {"width": 100, "height": 200, "fit": "contain", "formats": ["png"], "dpr": [1, 2]}
    presets = build_presets(shop={"renditions": {"card": padded}})
    wanted = ImageRequest.read(presets, Permission(), "shop", "card@2x.png").build_operation()
    job = await submit(child, stores, photo(150, 150), **wanted.model_dump(exclude_unset=True))

    run_stages(job)

    (file,) = find_variants(find_results(await stores.jobs.get(job.id))["card"])
    assert (file["dpr"], file["width"], file["height"]) == (2, 150, 300)


async def test_every_file_counts(child: WorkerChild, stores: Stores, registry: CollectorRegistry) -> None:
    job = await submit(child, stores, photo(200, 150))

    run_stages(job)

    ended = await stores.jobs.get(job.id)
    files = [file for result in find_results(ended).values() for file in find_variants(result)]
    manifest = ended.stages["finalize"].result or {}
    assert (manifest["renditions"], manifest["bytes"]) == (2, sum(file["bytes"] for file in files))
    for format_ in FORMATS:
        labels = {"rendition": "card", "format": format_}
        written = sum(file["bytes"] for file in files if file["format"] == format_ and "card" in file["blob"])
        assert registry.get_sample_value("darkroom_renditions_total", labels) == 2
        assert registry.get_sample_value("darkroom_rendition_bytes_total", labels) == written


async def test_nothing_is_left_of_a_worker_that_was_killed_between_two_variants(
    child: WorkerChild, stores: Stores
) -> None:
    job = await submit(child, stores, photo(200, 150))
    run_task(tasks.validate, job.id)
    run_task(tasks.normalize, job.id)
    with pytest.raises(KeyboardInterrupt):
        claim(child, job, "card", f"resize-{job.id}-card").blobs.write_variants("card", variants("webp", "png"))
    assert {"card.webp.1", "card.png.1"} < set(child.blobs.list_names(job.id))

    for name in job.operation.renditions:
        run_task(tasks.resize, job.id, name)
    run_task(tasks.finalize, job.id)

    ended = await stores.jobs.get(job.id)
    recorded = set().union(*map(result_blobs, find_results(ended).values()))
    assert (ended.state, ended.stages["card"].attempts) == (JobState.DONE, 2)
    assert recorded == {f"{job.id}/{name}.2" for name in FILES} | {f"{job.id}/small.1"}
    assert {f"{job.id}/{name}" for name in child.blobs.list_names(job.id)} == recorded | {job.original.blob}


async def test_a_run_that_was_taken_over_removes_all_its_variants(child: WorkerChild, stores: Stores) -> None:
    job = await submit(child, stores, photo(200, 150))
    late = claim(child, job, "card", "message")
    taken_over = claim(child, job, "card", "message")
    result = late.blobs.write_variants(
        "card", [Variant(Rendition(b"late", name, f"image/{name}", 1, 1), (1,)) for name in ("webp", "jpeg")]
    )

    assert not late.complete(result)

    assert child.blobs.list_names(job.id) == ["original"]
    assert not taken_over.is_last_attempt


async def test_a_watermark_is_read_from_where_the_job_says(child: WorkerChild, stores: Stores) -> None:
    digest = "5" * 64
    child.blobs.put(asset_key(digest), encode_image(Image.new("RGB", (20, 20), "red")))
    marked = {"edge": 100, "formats": ["png"], "watermark": LOGO["watermark"]}
    job = await submit(
        child,
        stores,
        Image.new("RGB", (100, 100), "blue"),
        renditions={"card": marked},
        assets=list_assets({"logo.png": digest}),
    )

    run_stages(job)

    result = find_results(await stores.jobs.get(job.id))["card"]
    image = Image.open(BytesIO(child.blobs.get(result["blob"]))).convert("RGB")
    assert image.getpixel((75, 75)) == pytest.approx((255, 0, 0), abs=4)
    assert image.getpixel((25, 25)) == pytest.approx((0, 0, 255), abs=4)


async def test_an_asset_that_is_gone_does_not_refuse_the_image(child: WorkerChild, stores: Stores) -> None:
    marked = {"edge": 100, "watermark": LOGO["watermark"]}
    job = await submit(child, stores, cutout(), renditions={"card": marked}, assets=list_assets({"logo.png": "6" * 64}))
    run_task(tasks.validate, job.id)
    run_task(tasks.normalize, job.id)

    with pytest.raises(FileNotFoundError):
        run_task(tasks.resize, job.id, "card")

    assert (await stores.jobs.get(job.id)).state is JobState.PROCESSING


async def test_the_placeholder_of_a_cutout_lies_on_the_background_of_its_rendition(
    child: WorkerChild, stores: Stores
) -> None:
    clear = Image.new("RGBA", (60, 40), (0, 0, 0, 0))
    job = await submit(child, stores, clear, renditions={"card": CARD | {"background": "#ff8800"}})

    run_task(tasks.validate, job.id)
    run_task(tasks.normalize, job.id)

    normalized = (await stores.jobs.get(job.id)).stages["normalize"].result or {}
    assert normalized["placeholder"]["color"] == "#ff8800"
