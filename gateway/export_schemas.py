"""The model of the objects that a job's results were put into, in the API's answers."""

from __future__ import annotations

from pydantic import BaseModel, Field

from gateway.openapi.numbers import Density, Positive
from pipeline.results import served_job
from pipeline.routing import EXPORT
from pipeline.stage_order import has_stage
from storage.documents import Job


class ExportedObject(BaseModel):
    """One file of a rendition in the bucket of a destination."""

    rendition: str = Field(examples=["card"])
    format: str = Field(examples=["jpeg"])
    dpr: Density
    destination: str = Field(description="The name of the bucket, as presets call it.", examples=["shop"])
    key: str = Field(description="The key of the object.", examples=["A-1/card@2x.jpg"])
    bytes: Positive


def list_exports(job: Job) -> list[ExportedObject]:
    """Return the objects of the results that the job serves; none before they are all in the bucket.

    They stay when the results expire.
    """
    served = served_job(job)
    result = served.stages[EXPORT].result if has_stage(served, EXPORT) else None
    if not result:
        return []
    return [ExportedObject(destination=result["destination"], **each) for each in result["objects"]]
