"""A job whose rendition `card` has three formats and two densities, as the stages record it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from hashlib import sha256
from typing import Any

from storage.blobs import Blobs
from storage.documents import Job, JobState, Operation, StageRecord, StageState
from tests.support.fakes import new_job, new_job_id

FORMATS = ("avif", "webp", "jpeg")
CARD = {"width": 400, "height": 300, "formats": FORMATS, "dpr": [1, 2]}
OPERATION = Operation(renditions={"card": CARD})
PLACEHOLDER = {
    "thumbhash": "3OcRJYB4d3h/iIeHeEh3eIhw+j2w",
    "blurhash": "LEHV6nWB2yk8pyo0adR*.7kCMdnj",
    "color": "#7f6a52",
}


def content_of(name: str, dpr: int, revision: int = 0) -> bytes:
    """Return the bytes of a variant when nothing else is given."""
    return f"{name} at {dpr} of {revision}".encode() * 100


def record_card(  # noqa: PLR0913  what varies
    job_id: str,
    blobs: Blobs,
    *,
    formats: tuple[str, ...] = FORMATS,
    densities: Mapping[int, int] = {1: 400, 2: 800},  # not changed
    revision: int = 0,
    contents: Mapping[tuple[str, int], bytes] | None = None,
    missing: Collection[tuple[str, int]] = (),
) -> StageRecord:
    """Store the variants and return the record of their stage; `densities` has the width at each.

    A format that cannot hold a density is among the `missing`.
    """
    variants = []
    for name in formats:
        for dpr, width in densities.items():
            if (name, dpr) in missing:
                continue
            content = (contents or {}).get((name, dpr)) or content_of(name, dpr, revision)
            blob = f"{job_id}/card@{dpr}x.{name}.{revision + 1}"
            blobs.put(blob, content)
            variants.append(_record(blob, content, format=name, dpr=dpr, width=width))
    main = [each for each in variants if each["dpr"] == min(densities)][-1]
    return StageRecord(state=StageState.DONE, result=main | {"variants": variants})


def done_card(blobs: Blobs, **options: Any) -> Job:
    """Return a job that is done, with the bytes of its variants in `blobs`. It is not stored yet."""
    job_id, has_alpha = options.pop("job_id", None) or new_job_id(), options.pop("has_alpha", False)
    operation = options.pop("operation", OPERATION)
    stages = {
        "validate": StageRecord(state=StageState.DONE, result={"has_alpha": has_alpha}),
        "normalize": StageRecord(state=StageState.DONE, result={"placeholder": PLACEHOLDER}),
        "card": record_card(job_id, blobs, **options),
    }
    renditions = {"card": 1}  # the names of the stages
    return new_job(id=job_id, state=JobState.DONE, renditions=renditions, operation=operation, stages=stages)


def _record(blob: str, content: bytes, *, format: str, dpr: int, width: int) -> dict[str, Any]:  # noqa: A002  # its name
    return {
        "blob": blob,
        "format": format,
        "media_type": f"image/{format}",
        "dpr": dpr,
        "width": width,
        "height": width * 3 // 4,
        "bytes": len(content),
        "sha256": sha256(content).hexdigest(),
    }
