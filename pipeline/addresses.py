"""The addresses of the stores, as settings: checked at start, with messages that do not contain them."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

from pipeline.broker.rabbit_urls import RabbitUrl
from pipeline.broker.redis_urls import RedisUrl


def _check_mongo_url(url: str) -> str:
    if not url.startswith(("mongodb://", "mongodb+srv://")):
        raise ValueError("must begin with mongodb:// or mongodb+srv://")
    return url


def _check_blob_url(url: str) -> str:
    parts = urlsplit(url)
    if not parts.scheme:
        raise ValueError("must begin with file://, s3://, gs:// or az://")
    if parts.scheme == "file" and (parts.netloc or not parts.path.startswith("/")):
        raise ValueError("must name the whole path of a folder, after three slashes: file:///srv/blobs")
    return url


RedisAddress = Annotated[str, AfterValidator(lambda value: value and RedisUrl(value).text)]
RabbitAddress = Annotated[str, AfterValidator(lambda value: value and RabbitUrl(value).text)]
MongoAddress = Annotated[str, AfterValidator(_check_mongo_url)]
BlobAddress = Annotated[str, AfterValidator(_check_blob_url)]
