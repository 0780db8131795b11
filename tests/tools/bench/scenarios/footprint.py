"""What a job of 12 megapixels leaves behind: its document, its blobs, and its place in the queue."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import bson
import pymongo
from redis import Redis

from tests.tools.bench.bench import Bench, Figures
from tests.tools.bench.load import BenchClient
from tests.tools.bench.systems import Darkroom, run_darkroom

JOBS = 20


def run(bench: Bench) -> Figures:
    """Queue some jobs without a worker, then let them be done."""
    photos, count = bench.corpus.photos("12mp"), bench.jobs(JOBS)
    with run_darkroom(bench.folder("footprint"), workers=False) as system, closing(BenchClient(system)) as visitor:
        before = _redis_bytes(system)
        jobs = [visitor.send(photos[number % len(photos)]) for number in range(count)]
        queued = (_redis_bytes(system) - before) / count
        originals = _bytes_under(system.stack.blob_folder) / count
        for queue in system.stack.pools:
            system.stack.start_process(queue, wait=False)
        answers = [visitor.wait_until_done(job) for job in jobs]
        kept = _bytes_under(system.stack.blob_folder) / count
        document = sum(_document_bytes(system, jobs)) / count
    renditions = sum(sum(each["bytes"] for each in answer["renditions"].values()) for answer in answers) / count
    found: Figures = {
        "document_bytes": round(document),
        "queued_bytes_in_redis": round(queued),
        "original_bytes": round(originals),
        "renditions_bytes": round(renditions),
        "blob_bytes_kept": round(kept),
    }
    bench.show("for one job", ["", "KiB"], [(name.replace("_", " "), value / 1024) for name, value in found.items()])
    return found


def _redis_bytes(system: Darkroom) -> int:
    with closing(Redis.from_url(system.stack.redis_url)) as redis:
        memory: Any = redis.info("memory")
        return int(memory["used_memory_dataset"])


def _document_bytes(system: Darkroom, jobs: Iterable[str]) -> Iterable[int]:
    client: pymongo.MongoClient[dict[str, Any]]
    with pymongo.MongoClient(system.stack.mongo_url) as client:
        for database in client.list_database_names():
            for name in client[database].list_collection_names():
                found: Any = client[database][name].find({"_id": {"$in": list(jobs)}})
                yield from (len(bson.encode(document)) for document in found)


def _bytes_under(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
