"""Variants of a job's rendition, written into the stores of a stack as the workers do."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pymongo

from deploy.local.stack import Stack
from tests.support.images import encode_image, photo

FORMATS = ("avif", "webp", "jpeg")


def add_variants(stack: Stack, task_id: str, rendition: str, *, width: int = 160, revision: int = 0) -> None:
    """Give a rendition of a job that is done three formats at two densities, each `width` pixels wide at the first."""
    variants = [
        _write(stack, task_id, f"{rendition}@{dpr}x.{name}.9{revision}", width * dpr, name, revision) | {"dpr": dpr}
        for name in FORMATS
        for dpr in (1, 2)
    ]
    main = next(each for each in variants if each["format"] == FORMATS[-1])
    client: pymongo.MongoClient[dict[str, Any]]
    with pymongo.MongoClient(stack.mongo_url) as client:
        result = {key: value for key, value in main.items() if key != "dpr"} | {"variants": variants}
        changed = {"$set": {f"stages.{rendition}.result": result}, "$inc": {"version": 1}}
        assert client.get_default_database().jobs.update_one({"_id": task_id}, changed).modified_count == 1


def _write(stack: Stack, task_id: str, name: str, width: int, kind: str, revision: int) -> dict[str, Any]:
    content = encode_image(photo(width + revision, width * 3 // 4), kind)
    (stack.blob_folder / task_id / name).write_bytes(content)
    return {
        "blob": f"{task_id}/{name}",
        "format": kind,
        "media_type": f"image/{kind}",
        "width": width + revision,
        "height": width * 3 // 4,
        "bytes": len(content),
        "sha256": sha256(content).hexdigest(),
    }
