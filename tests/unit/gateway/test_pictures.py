"""What the status of a job gives to pages: the variants of a rendition, `srcset` and `<picture>`."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import httpx
import pytest

from gateway.pictures import build_picture, build_srcset
from storage.blobs import Blobs
from storage.documents import Job, JobState, Operation, StageRecord, StageState
from tests.support.fakes import FakeJobs, new_job
from tests.support.variants import CARD, PLACEHOLDER, content_of, done_card

Element = tuple[str, dict[str, str | None]]


class Elements(HTMLParser):
    """Collects the elements of HTML with their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[Element] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        raise AssertionError(data)


async def rendition_of(http: httpx.AsyncClient, jobs: FakeJobs, job: Job, name: str = "card") -> dict[str, Any]:
    await jobs.insert(job)
    rendition: dict[str, Any] = (await http.get(f"/task-status/{job.id}")).json()["renditions"][name]
    return rendition


async def test_a_rendition_has_the_fields_of_what_every_client_shows(
    http: httpx.AsyncClient, jobs: FakeJobs, blobs: Blobs
) -> None:
    job = done_card(blobs)

    rendition = await rendition_of(http, jobs, job)

    assert rendition["url"] == f"/result/{job.id}/card"
    assert [rendition[field] for field in ("filename", "format", "media_type", "width", "height", "bytes")] == [
        *("cat-card.jpg", "jpeg", "image/jpeg", 400, 300),
        len(content_of("jpeg", 1)),
    ]


async def test_every_variant_is_at_its_address_and_may_be_kept(
    http: httpx.AsyncClient, jobs: FakeJobs, blobs: Blobs
) -> None:
    variants = (await rendition_of(http, jobs, done_card(blobs)))["variants"]

    answers = [await http.get(variant["url"]) for variant in variants]

    assert [(each["format"], each["dpr"], each["width"]) for each in variants] == [
        (name, dpr, 400 * dpr) for name in ("avif", "webp", "jpeg") for dpr in (1, 2)
    ]
    assert [answer.content for answer in answers] == [content_of(each["format"], int(each["dpr"])) for each in variants]
    assert {answer.headers["cache-control"] for answer in answers} == {"private, max-age=31536000, immutable"}
    assert all("blob" not in variant for variant in variants)


async def test_srcset_has_each_format_with_its_widths(http: httpx.AsyncClient, jobs: FakeJobs, blobs: Blobs) -> None:
    job = done_card(blobs)

    rendition = await rendition_of(http, jobs, job)

    folder, version = f"/result/{job.id}", rendition["version"]
    assert rendition["srcset"] == {
        name: f"{folder}/card.{ending}?v={version} 400w, {folder}/card@2x.{ending}?v={version} 800w"
        for name, ending in (("avif", "avif"), ("webp", "webp"), ("jpeg", "jpg"))
    }


async def test_a_density_without_more_pixels_is_left_out_of_srcset(
    http: httpx.AsyncClient, jobs: FakeJobs, blobs: Blobs
) -> None:
    rendition = await rendition_of(http, jobs, done_card(blobs, densities={1: 320, 2: 320}))

    assert [srcset.count("320w") for srcset in rendition["srcset"].values()] == [1, 1, 1]
    assert "@2x" not in rendition["picture"]
    assert len(rendition["variants"]) == 6


async def test_a_picture_offers_every_format_and_ends_with_what_every_browser_shows(
    http: httpx.AsyncClient, jobs: FakeJobs, blobs: Blobs
) -> None:
    rendition = await rendition_of(http, jobs, done_card(blobs))

    srcset = rendition["srcset"]
    assert Elements(rendition["picture"]).found == [
        ("picture", {}),
        ("source", {"type": "image/avif", "srcset": srcset["avif"], "sizes": "400px"}),
        ("source", {"type": "image/webp", "srcset": srcset["webp"], "sizes": "400px"}),
        (
            "img",
            {
                "src": rendition["variants"][4]["url"],
                "srcset": srcset["jpeg"],
                "sizes": "400px",
                "width": "400",
                "height": "300",
                "loading": "lazy",
                "decoding": "async",
                "alt": "",
                "style": "background:#7f6a52",
                "data-thumbhash": PLACEHOLDER["thumbhash"],
            },
        ),
    ]


@pytest.mark.parametrize(
    ("definition", "has_alpha", "shown"),
    [
        (CARD, False, ("background:#7f6a52", PLACEHOLDER["thumbhash"])),
        (CARD, True, (None, PLACEHOLDER["thumbhash"])),
        (CARD | {"background": "#ffffff00"}, False, (None, PLACEHOLDER["thumbhash"])),
        (CARD | {"steps": ["grayscale"]}, False, (None, None)),
        (400, False, ("background:#7f6a52", PLACEHOLDER["thumbhash"])),
    ],
    ids=["opaque", "transparent original", "transparent padding", "steps", "an edge"],
)
async def test_a_picture_has_the_placeholder_of_what_it_shows(
    http: httpx.AsyncClient, jobs: FakeJobs, definition: Any, has_alpha: Any, shown: tuple[str | None, str | None]
) -> None:
    operation = Operation(renditions={"card": definition})
    job = done_card(Blobs.open("memory:///"), operation=operation, has_alpha=has_alpha)

    image = Elements((await rendition_of(http, jobs, job))["picture"]).found[-1][1]

    assert (image.get("style"), image.get("data-thumbhash")) == shown


async def test_a_rendition_with_one_file_is_a_picture_with_an_image_only(
    http: httpx.AsyncClient, jobs: FakeJobs, blobs: Blobs
) -> None:
    blobs.put("small.1", b"small")
    made = {"format": "jpeg", "media_type": "image/jpeg", "width": 160, "height": 120, "bytes": 5, "sha256": "00" * 32}
    record = StageRecord(state=StageState.DONE, result={"blob": "small.1", **made})
    job = new_job(stages={"small": record}, state=JobState.PROCESSING)

    rendition = await rendition_of(http, jobs, job, "small")

    url = f"/result/{job.id}/small.jpg?v={rendition['version']}"
    assert Elements(rendition["picture"]).found == [
        ("picture", {}),
        ("img", {"src": url, "width": "160", "height": "120", "loading": "lazy", "decoding": "async", "alt": ""}),
    ]
    assert rendition["srcset"] == {"jpeg": f"{url} 160w"}
    assert [(each["url"], each["dpr"]) for each in rendition["variants"]] == [(url, 1)]
    assert (await http.get(rendition["variants"][0]["url"])).content == b"small"


async def test_a_list_has_the_smallest_rendition_of_each_job(
    http: httpx.AsyncClient, jobs: FakeJobs, blobs: Blobs
) -> None:
    job = done_card(blobs)
    version = (await rendition_of(http, jobs, job))["version"]
    await jobs.insert(failed := new_job(state=JobState.FAILED))

    listed = {each["task_id"]: each["preview"] for each in (await http.get("/jobs")).json()["jobs"]}

    expected = {"url": f"/result/{job.id}/card?v={version}", "bytes": len(content_of("jpeg", 1))}
    assert listed == {job.id: expected, failed.id: None}


def test_nothing_breaks_out_of_an_attribute() -> None:
    variant = {"format": "jpeg", "media_type": "image/jpeg", "dpr": 1, "width": 1, "height": 1, "url": '"><script>'}

    html = build_picture([variant], build_srcset([variant]), color='"><b>', thumbhash="'\"<&")

    image = Elements(html).found[-1][1]
    assert [tag for tag, _ in Elements(html).found] == ["picture", "img"]
    assert (image["src"], image["data-thumbhash"]) == ('"><script>', "'\"<&")


def test_a_rendition_whose_lowest_density_is_two_is_shown_at_half_its_pixels() -> None:
    variants = [
        {
            "format": "webp",
            "media_type": "image/webp",
            "dpr": dpr,
            "width": 100 * dpr,
            "height": 50 * dpr,
            "url": f"x{dpr}",
        }
        for dpr in (2, 3)
    ]

    image = Elements(build_picture(variants, build_srcset(variants))).found[-1][1]

    assert (image["src"], image["width"], image["height"], image["sizes"]) == ("x2", "100", "50", "100px")


async def test_a_density_in_another_format_is_not_the_image_of_the_page(
    http: httpx.AsyncClient, jobs: FakeJobs, blobs: Blobs
) -> None:
    job = done_card(blobs, formats=("webp", "png"), missing=[("webp", 2), ("png", 1)])

    rendition = await rendition_of(http, jobs, job)

    assert (rendition["format"], rendition["width"]) == ("webp", 400)
    assert [name for name, _ in Elements(rendition["picture"]).found] == ["picture", "img"]
