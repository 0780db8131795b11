"""The blobs that a stage run reads and writes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from hashlib import sha256
from typing import Any

from xxhash import xxh3_64_hexdigest

from pipeline import rendition_headers
from pipeline.assets import Assets
from pipeline.blob_reserve import check_room_for_master, check_room_for_original
from pipeline.http_settings import BlobsSettings
from pipeline.results import find_files
from pipeline.routing import NORMALIZE
from pipeline.stage_failures import MasterLost
from pipeline.stage_order import stage_by_rendition
from stages.finalize import RenditionFacts
from stages.normalize import Master
from stages.rendition import Rendition
from stages.resize import Variant
from storage.blobs import Blobs
from storage.documents import ATTEMPTS_PER_REVISION, ORIGINAL, JobRecord, blob_key, job_folder, result_blobs


def revision_of(name: str) -> int:
    """Return the revision of the run that wrote a blob, or half wrote it: `small.1000002`, `small.1000002#1`."""
    attempt = name.partition("#")[0].rpartition(".")[2]
    return int(attempt) // ATTEMPTS_PER_REVISION if attempt.isdecimal() else 0


class StageBlobs:
    """Reads and writes the blobs of one job for one attempt.

    The names of the blobs it writes contain the attempt, so no run overwrites another run's blobs.
    """

    def __init__(self, blobs: Blobs, job: JobRecord, *, attempt: int) -> None:
        self._blobs = blobs
        self._job = job
        self._attempt = attempt
        self._written_names: list[str] = []

    def read_original(self) -> bytes:
        """Return the bytes that were uploaded or fetched."""
        return self._blobs.get(self._job.original.blob)

    async def stream_result(self, blob: str, size: int) -> AsyncIterator[bytes]:
        """Open a rendition's file of `size` bytes and return an iterator over its chunks."""
        return await self._blobs.stream(blob, start=0, stop=size)

    def check_room_for_original(self, settings: BlobsSettings, size: int) -> None:
        """Raise OSError when the disk has no room for an original of this size."""
        check_room_for_original(self._blobs, settings, size)

    def write_original(self, chunks: Iterator[bytes]) -> str:
        """Write the original as its bytes come; return its key. If they end with an error, there is no such blob."""
        key = self._new_key(ORIGINAL)
        self._blobs.write_chunks(key, chunks)
        return key

    def copy_original(self, copy: Callable[[str], None]) -> tuple[str, bytes]:
        """Have the store copy the original to a key; return the key, and the bytes that were copied."""
        key = self._new_key(ORIGINAL)
        copy(key)
        return key, self._blobs.get(key)

    def read_master(self, rendition: str) -> Master:
        """Return the master at the size of a rendition. Raises `MasterLost`."""
        record = self._job.stages[NORMALIZE].result or {}
        level = record.get("levels", {}).get(rendition, record)  # records from before 0.2 have one size and no levels
        start, mode = level.get("offset", 0), record["mode"]
        stop = start + level["width"] * level["height"] * len(mode)
        try:
            pixels = self._blobs.get(record["blob"], start=start, stop=stop)
        except FileNotFoundError as error:
            raise MasterLost("It is missing.") from error
        if len(pixels) < stop - start:
            raise MasterLost("It is short.")
        if level.get("checksum") not in (None, xxh3_64_hexdigest(pixels)):  # earlier versions recorded none
            raise MasterLost("It is damaged.")
        return Master(mode, level["width"], level["height"], pixels)

    @property
    def assets(self) -> Mapping[str, bytes]:
        """The image files that the job's steps name; each is read when a step asks for it."""
        return Assets(self._blobs, self._job.operation.asset_digests)

    def check_room_for_master(self, settings: BlobsSettings) -> None:
        """Raise OSError when the disk has no room for a master."""
        check_room_for_master(self._blobs, settings)

    def write_master(self, masters: Mapping[str, Master]) -> dict[str, Any]:
        """Write the master in all sizes into one blob, largest first; return its record with the place of each.

        It is not synced to the disk: a power failure is rare, and what it destroys is made again.
        """
        levels: dict[str, dict[str, int | str]] = {}
        parts: list[bytes] = []
        for name, master in sorted(masters.items(), key=lambda item: len(item[1].pixels), reverse=True):
            if not parts or parts[-1] is not master.pixels:  # renditions of one size share a master
                start, checksum = sum(map(len, parts)), xxh3_64_hexdigest(master.pixels)
                parts.append(master.pixels)
            size = {"width": master.width, "height": master.height}
            levels[name] = {**size, "offset": start, "checksum": checksum}
        largest = next(iter(levels.values()))
        blob = self._new_key(NORMALIZE)  # a rendition has no stage's name, but may be called master
        self._blobs.put(blob, parts, create_only=True, durable=False)
        whole = {"width": largest["width"], "height": largest["height"]}
        return {"blob": blob, "mode": master.mode, **whole, "levels": levels}

    def write_rendition(self, name: str, rendition: Rendition) -> dict[str, Any]:
        """Write a rendition that is one file; return its record."""
        return self._write_file(name, name, rendition)

    def write_variants(self, name: str, variants: Iterable[Variant]) -> dict[str, Any]:
        """Write the variants of a rendition one after the other, as they are made; return its record.

        The record is that of the main variant, the last format at the lowest density. If there is more than one
        format or density, it has all `variants`, the best format first, with the densities of each in order.
        """
        records: list[dict[str, Any]] = []
        for variant in variants:
            dpr, rendition = variant.densities[0], variant.rendition
            blob_name = f"{name}{rendition_headers.suffix_of(dpr)}.{rendition.format}"
            record = self._write_file(name, blob_name, rendition, dpr=dpr)
            records += [record | {"dpr": density} for density in variant.densities]
        lowest = [record for record in records if record["dpr"] == records[0]["dpr"]]
        main = {field: value for field, value in lowest[-1].items() if field != "dpr" or value != 1}
        if len(records) == 1:
            return main
        ranks = {format_: rank for rank, format_ in enumerate(dict.fromkeys(record["format"] for record in records))}
        return main | {"variants": sorted(records, key=lambda record: (ranks[record["format"]], record["dpr"]))}

    def _write_file(self, name: str, blob_name: str, rendition: Rendition, *, dpr: float = 1) -> dict[str, Any]:
        """Write a file of a rendition with the headers that an object store sends with it; return its record."""
        headers = rendition_headers.headers(self._job, name, format=rendition.format, dpr=dpr)
        return {
            "blob": self._write(blob_name, rendition.content, headers | {"Content-Type": rendition.media_type}),
            "format": rendition.format,
            "media_type": rendition.media_type,
            "width": rendition.width,
            "height": rendition.height,
            "bytes": len(rendition.content),
            "sha256": sha256(rendition.content).hexdigest(),
        }

    def rendition_facts(self) -> dict[str, list[RenditionFacts]]:
        """Return the facts that earlier stages recorded of each file, by the name of its rendition."""
        names = [field.name for field in fields(RenditionFacts)]
        return {
            rendition: [RenditionFacts(**{name: file[name] for name in names}) for file in find_files(record)]
            for rendition, record in self._rendition_records().items()
        }

    def remove_intermediates(self) -> None:
        """Remove all but the original and the renditions: the master, and what incomplete runs wrote or half wrote.

        Those of other revisions stay: clients may still get earlier ones, and a run that was stopped for long before
        this line must not remove later ones. The tidier removes them when nobody needs them.
        """
        needed = {self._job.original.blob}.union(*map(result_blobs, self._rendition_records().values()))
        names = [name for name in self._blobs.list_all_names(self._folder) if revision_of(name) == self._job.revision]
        self._blobs.remove(self._folder, [name for name in names if blob_key(self._job.id, name) not in needed])

    def remove_written(self) -> None:
        """Remove the blobs that this run wrote."""
        self._blobs.remove(self._folder, self._written_names)

    @property
    def _folder(self) -> str:
        return job_folder(self._job.id)

    def _rendition_records(self) -> dict[str, dict[str, Any]]:
        stages = stage_by_rendition(self._job).items()
        return {name: self._job.stages[stage].result or {} for name, stage in stages}

    def _write(self, name: str, content: bytes, attributes: Mapping[str, str]) -> str:
        key = self._new_key(name)
        self._blobs.put(
            key, content, create_only=True, attributes=attributes, folder_is_durable=self._has_durable_folder
        )
        return key

    @property
    def _has_durable_folder(self) -> bool:
        """Whether the folder has the original: its write was durable, and ended before any stage that reads it."""
        original = self._job.original
        return original.is_stored and original.blob.startswith(blob_key(self._job.id, ""))

    def _new_key(self, name: str) -> str:
        """Return the key of a blob of this attempt, which is removed if the run is fenced."""
        blob_name = f"{name}.{self._attempt}"
        self._written_names.append(blob_name)
        return blob_key(self._job.id, blob_name)
