"""The base of every section of the settings, and the types of their values."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Seconds = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class SettingsSection(BaseModel):
    """Some settings about one concern. Unknown names are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")
