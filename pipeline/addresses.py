"""The addresses of the stores, as settings: checked at start, with messages that do not contain them."""

from __future__ import annotations

from posixpath import normpath
from typing import Annotated
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator

from pipeline.broker.rabbit_urls import RabbitUrl
from pipeline.broker.redis_urls import RedisUrl

BUCKET_SCHEMES = {"s3", "s3a", "gs", "az", "azure", "adl", "abfs", "abfss"}
OTHER_SCHEMES = {"file", "memory", "http", "https"}


def _check_mongo_url(url: str) -> str:
    if not url.startswith(("mongodb://", "mongodb+srv://")):
        raise ValueError("must begin with mongodb:// or mongodb+srv://")
    return url


def _check_blob_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in BUCKET_SCHEMES | OTHER_SCHEMES:
        raise ValueError("must begin with file://, s3://, gs:// or az://")
    if parts.scheme in BUCKET_SCHEMES and not parts.netloc:
        raise ValueError("must name a bucket, after two slashes: s3://bucket/prefix")
    if parts.scheme == "file" and (parts.netloc or not parts.path.startswith("/")):
        raise ValueError("must name the whole path of a folder, after three slashes: file:///srv/blobs")
    return url


def _check_bucket_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in BUCKET_SCHEMES or not parts.netloc:
        raise ValueError("must name a bucket: s3://bucket/prefix, gs://bucket or az://container")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("must be the address only: keys and other options are in `options`")
    return url


RedisAddress = Annotated[str, AfterValidator(lambda value: value and RedisUrl(value).text)]
RabbitAddress = Annotated[str, AfterValidator(lambda value: value and RabbitUrl(value).text)]
MongoAddress = Annotated[str, AfterValidator(_check_mongo_url)]
BlobAddress = Annotated[str, AfterValidator(_check_blob_url)]
BucketAddress = Annotated[str, AfterValidator(_check_bucket_url)]


def is_below(url: str, top: str) -> bool:
    """Whether one place for files is in a folder of another."""
    return _place(url) != _place(top) and _is_within(url, top)


def overlap(url: str, other: str) -> bool:
    """Whether two places for files are the same, or one is in a folder of the other."""
    return _is_within(url, other) or _is_within(other, url)


def _is_within(url: str, top: str) -> bool:
    (scheme, host, path), (top_scheme, top_host, top_path) = (_place(each) for each in (url, top))
    return (scheme, host) == (top_scheme, top_host) and f"{path}/".startswith(f"{top_path}/")


def _place(url: str) -> tuple[str, str, str]:
    """Return scheme, host and path, the same for all ways to write a place."""
    parts = urlsplit(url)
    path = normpath(f"/{unquote(parts.path).lstrip('/')}").rstrip("/")
    return ("s3" if parts.scheme == "s3a" else parts.scheme), parts.netloc, path
