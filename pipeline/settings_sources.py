"""Where settings are read from: the environment, then the files of the secrets folder."""

from __future__ import annotations

from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SecretsSettingsSource


class _RawUnlessJson:
    """Leaves a value that is not JSON to the validation, whose error names the setting; pydantic's own does not."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """Return the decoded value, or the value as it is."""
        try:
            return super().decode_complex_value(field_name, field, value)  # type: ignore[misc]  # of the source
        except ValueError:
            return value


class EnvironmentSource(_RawUnlessJson, EnvSettingsSource):
    """Variables."""


class SecretFilesSource(_RawUnlessJson, SecretsSettingsSource):
    """Files."""


class EnvironmentSettings(BaseSettings):
    """The base of settings with values that are JSON."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # replaced
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # no file is read
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # replaced
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources, first the one with priority."""
        return init_settings, EnvironmentSource(settings_cls), SecretFilesSource(settings_cls)
