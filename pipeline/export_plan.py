"""What the stage export puts into a bucket: each file of each rendition, under its key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from pipeline.presets.key_template import METADATA, make_distinct, make_safe, render
from pipeline.rendition_headers import extension_of, stem_of, suffix_of
from pipeline.results import find_variants
from pipeline.stage_order import stage_by_rendition
from storage.documents import JobRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedFile:
    """One file of a rendition that becomes an object."""

    rendition: str
    format: str
    dpr: float
    key: str
    blob: str
    media_type: str
    bytes: int

    @property
    def record(self) -> dict[str, Any]:
        """What the stage records of it."""
        return {
            "rendition": self.rendition,
            "format": self.format,
            "dpr": self.dpr,
            "key": self.key,
            "bytes": self.bytes,
        }


def plan_export(job: JobRecord, template: str) -> list[ExportedFile]:
    """Return every file of the job's renditions with its key, one for each key. Raises KeyError, as `render` does.

    A file that is for two densities has two keys. Of two formats that became one, as `auto` and `jpeg` do, the later
    one counts, as in the addresses of results.
    """
    files: dict[str, ExportedFile] = {}
    job_values = _values_of_job(job)
    for rendition, stage in stage_by_rendition(job).items():
        for variant in find_variants(job.stages[stage].result or {}):
            values = job_values | _values_of_file(rendition, variant)
            key = render(template, values)
            files[key] = ExportedFile(
                rendition=rendition,
                format=variant["format"],
                dpr=variant["dpr"],
                key=key,
                blob=variant["blob"],
                media_type=variant["media_type"],
                bytes=variant["bytes"],
            )
    return list(files.values())


def _values_of_job(job: JobRecord) -> dict[str, str]:
    metadata = {f"{METADATA}{name}": make_distinct(value) for name, value in job.metadata.items() if value}
    return metadata | {
        "task_id": job.id,
        "name": make_safe(stem_of(job.original.name)),
        "date": job.created_at.astimezone(UTC).strftime("%Y/%m/%d"),
        "revision": str(job.revision),
    }


def _values_of_file(rendition: str, variant: Mapping[str, Any]) -> dict[str, str]:
    return {
        "rendition": rendition,
        "ext": extension_of(variant["format"]),
        "dpr": suffix_of(variant["dpr"]),
        "sha256": variant["sha256"],
    }
