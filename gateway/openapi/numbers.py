"""Numbers of the API's answers with their bounds. Only the OpenAPI document states them: an answer is never refused."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

Count = Annotated[int, Field(json_schema_extra={"minimum": 0})]
Positive = Annotated[int, Field(json_schema_extra={"minimum": 1})]
Density = Annotated[float, Field(json_schema_extra={"minimum": 1, "maximum": 4})]
Milliseconds = Annotated[int, Field(json_schema_extra={"minimum": 0})]
Seconds = Annotated[float, Field(json_schema_extra={"minimum": 0})]
Orientation = Annotated[int, Field(json_schema_extra={"minimum": 1, "maximum": 8})]
