"""The settings of Flower, the page of workers and tasks."""

from __future__ import annotations

import os
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from pipeline.settings_section import Count, Seconds

PrintableAscii = Annotated[str, Field(pattern=r"^[ -~]*$")]  # browsers encode other characters differently


class FlowerSettings(BaseSettings):
    """Where Flower listens, who has access, and how much it keeps."""

    model_config = SettingsConfigDict(
        env_prefix="DARKROOM_FLOWER_",
        frozen=True,
        extra="ignore",
        env_file=None,
        secrets_dir=os.environ.get("DARKROOM_SECRETS_DIR") or None,
        hide_input_in_errors=True,  # it may hold the password
    )

    address: str = Field("127.0.0.1", description="Address to listen on; any but loopback requires credentials.")
    port: int = Field(5555, ge=1, le=65535, description="Port to listen on.")
    url_prefix: str = Field("", pattern=r"^[A-Za-z0-9_./-]*$", description="Path under a proxy, such as `/flower`.")
    user: str = Field(
        "", pattern=r"^[A-Za-z0-9_.-]*$", description="User name; every page requires it with the password."
    )
    password: PrintableAscii = Field("", repr=False, description="Password; or in the file `darkroom_flower_password`.")
    folder: Path = Field(Path(".darkroom/flower"), description="Folder of the saved state.")
    save_interval: Seconds = Field(30, description="Wait between two saves of the state.")
    max_tasks: Count = Field(10_000, description="Tasks kept; the oldest are dropped.")
    max_workers: Count = Field(200, description="Workers kept.")
    forget_workers: Count = Field(86_400, description="An offline worker is removed after this long.")

    @field_validator("port", mode="before")
    @classmethod
    def _ignore_service_link(cls, port: object) -> object:
        """Use the default where Kubernetes sets the variable, for a service `darkroom-flower`: `tcp://10.0.0.1:5555`."""
        return cls.model_fields["port"].default if str(port).startswith("tcp://") else port

    @model_validator(mode="after")
    def _require_credentials(self) -> FlowerSettings:
        if bool(self.user) != bool(self.password):
            raise ValueError("DARKROOM_FLOWER_USER and DARKROOM_FLOWER_PASSWORD need each other: set both")
        if not self.user and not _is_loopback(self.address):
            raise ValueError(
                f"anyone can reach Flower on {self.address or 'every address'}: "
                "set DARKROOM_FLOWER_USER and DARKROOM_FLOWER_PASSWORD"
            )
        return self


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"
