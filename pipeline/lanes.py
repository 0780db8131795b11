"""The lane of each stage of a job, and so the queue of its message."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.routing import lane_queue
from pipeline.stage_order import queue_of_stage
from stages.formats import HEAVY_FORMATS
from storage.documents import JobRecord, Lane


def lane_of_stage(job: JobRecord, stage: str) -> Lane:
    """Return the lane of a stage: that of its job, but bulk for a rendition that is encoded in a heavy format.

    So renditions in light formats do not wait for others that take about twenty times as long. An operation has one
    output, and stays in its lane.
    """
    return Lane.BULK if HEAVY_FORMATS.intersection(_formats_of_stage(job, stage)) else job.lane


def queue_of_message(job: JobRecord, stage: str) -> str:
    """Return the queue that the message of a job's stage, or of its errback, is sent to."""
    return lane_queue(queue_of_stage(stage), lane_of_stage(job, stage))


def _formats_of_stage(job: JobRecord, stage: str) -> Iterable[str]:
    rendition = job.operation.renditions.get(stage)
    if isinstance(rendition, dict):
        formats: Iterable[str] = rendition.get("formats", ())
        return formats
    return () if rendition is None else (job.operation.format,)
