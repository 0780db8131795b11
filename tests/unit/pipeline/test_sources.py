"""Sources: which objects an owner may make jobs of, however their keys are written."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from pipeline.outbound_settings import SourceBucket
from pipeline.settings import Settings
from pipeline.sources import InvalidKey, KeyNotAllowed, find_source, resolve_key, sources_of

SHOP, ARCHIVE = SourceBucket(url="s3://incoming/shop"), SourceBucket(url="s3://archive/")
WIDE, NARROW = SourceBucket(url="s3://incoming"), SourceBucket(url="s3://incoming/shop/", options={"aws_region": "x"})


@pytest.mark.parametrize(
    ("key", "address"),
    [
        ("a.jpg", "s3://incoming/shop/a.jpg"),
        ("2026/a b.jpg", "s3://incoming/shop/2026/a b.jpg"),
        ("100%25?#ü.jpg", "s3://incoming/shop/100%25?#ü.jpg"),
        ("..a/b..", "s3://incoming/shop/..a/b.."),
        ("s3://incoming/shop/a.jpg", "s3://incoming/shop/a.jpg"),
    ],
)
def test_a_key_is_one_object_below_the_source(key: str, address: str) -> None:
    assert resolve_key(key, [SHOP]) == address


@pytest.mark.parametrize(
    "key",
    [
        "s3://incoming/shop2/a.jpg",
        "s3://incoming/shop",
        "s3://incoming/other/a.jpg",
        "s3://other/shop/a.jpg",
        "S3://incoming/shop/a.jpg",
        "gs://incoming/shop/a.jpg",
        "s3://incoming/../incoming/shop/a.jpg",
        "https://incoming/shop/a.jpg",
    ],
)
def test_an_object_elsewhere_is_not_allowed(key: str) -> None:
    with pytest.raises(KeyNotAllowed):
        resolve_key(key, [SHOP])


@pytest.mark.parametrize("key", ["a.jpg", "s3://incoming/shop/a.jpg", "", "../a.jpg"])
def test_who_has_no_source_may_use_no_object(key: str) -> None:
    with pytest.raises(KeyNotAllowed):
        resolve_key(key, [])


@pytest.mark.parametrize(
    "key",
    [
        *("", "/a.jpg", "../other/a.jpg", "a/../../b.jpg", "./a.jpg", "a//b.jpg", "folder/", "a\x00.jpg", "a\n.jpg"),
        "x" * 1025,
        "s3://incoming/shop/",
        "s3://incoming/shop/../other/a.jpg",
    ],
)
def test_a_key_that_stores_would_read_differently_is_refused(key: str) -> None:
    with pytest.raises(InvalidKey):
        resolve_key(key, [SHOP])


def test_of_several_sources_a_key_needs_its_bucket() -> None:
    with pytest.raises(InvalidKey, match="whole address"):
        resolve_key("a.jpg", [SHOP, ARCHIVE])

    assert resolve_key("s3://archive/a.jpg", [SHOP, ARCHIVE]) == "s3://archive/a.jpg"


def test_the_narrowest_source_opens_an_object() -> None:
    assert find_source("s3://incoming/shop/a.jpg", [WIDE, NARROW]) == (NARROW, "a.jpg")
    assert find_source("s3://incoming/a.jpg", [WIDE, NARROW]) == (WIDE, "a.jpg")


def test_sources_are_those_of_the_owner_or_of_all_where_there_are_no_keys() -> None:
    sources = {"shop": [SHOP], "*": [ARCHIVE]}

    assert [sources_of(owner, sources) for owner in ("shop", None, "other")] == [[SHOP], [ARCHIVE], ()]


@pytest.mark.parametrize(
    "url", ["https://incoming/shop", "memory:///", "s3://incoming/shop?x=1", "s3:///", "s3://key:secret@incoming"]
)
def test_a_source_is_a_bucket_or_a_folder(url: str) -> None:
    with pytest.raises(ValidationError):
        SourceBucket(url=url)


@pytest.mark.parametrize(
    ("stores", "source"),
    [
        ({"blob_url": "s3://photos/blobs"}, "s3://photos"),
        ({"blob_url": "s3://photos/blobs/"}, "s3://photos/blobs"),
        ({"blob_url": "s3://photos"}, "s3://photos/incoming"),
        ({"backup": {"target": "s3://photos/backups"}}, "s3://photos/"),
        ({"blob_url": "s3://photos/blobs"}, "s3a://photos/blobs"),
        ({"blob_url": "s3://photos/blobs"}, "s3://photos/in/%2e./blobs"),
        ({"blob_url": "file:///srv/blobs"}, "file:///srv//x/../%62lobs"),
        ({"blob_url": "file:///srv/blobs"}, "file:///"),
    ],
)
def test_no_source_contains_the_images_of_all_owners(stores: dict[str, Any], source: str) -> None:
    with pytest.raises(ValidationError, match="images of the others"):
        Settings(sources={"shop": [{"url": source}]}, **stores)

    elsewhere = {"url": source, "options": {"aws_endpoint_url": "https://elsewhere.example"}}
    assert Settings(sources={"shop": [elsewhere]}, **stores).sources


def test_the_endpoint_of_the_blobs_is_no_other_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://store.example")
    same = {"url": "s3://photos", "options": {"AWS_ENDPOINT_URL": "https://store.example/"}}

    with pytest.raises(ValidationError, match="images of the others"):
        Settings(blob_url="s3://photos/blobs", sources={"shop": [same]})


def test_a_source_may_be_beside_the_blobs() -> None:
    settings = Settings(blob_url="s3://photos/blobs", sources={"shop": [{"url": "s3://photos/blobs-in"}]})

    assert settings.sources["shop"][0].url == "s3://photos/blobs-in"


def test_the_keys_of_a_source_are_in_no_representation() -> None:
    settings = Settings(sources={"shop": [{"url": "s3://in", "options": {"aws_secret_access_key": "hidden"}}]})

    assert "hidden" not in repr(settings)
    assert "hidden" not in repr(settings.sources)


@pytest.mark.parametrize(("limit", "seconds"), [(50, 40), (10, 8)])
def test_fetching_ends_before_the_soft_time_limit(limit: float, seconds: float) -> None:
    assert Settings(work={"soft_time_limit": limit}).fetch_seconds == seconds
