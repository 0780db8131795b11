"""Settings of events of buckets: which objects become jobs, and the Redis list that events may come from."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pipeline.addresses import RedisAddress
from pipeline.settings_section import Count, SettingsSection

ListName = Annotated[str, Field(pattern=r"^([A-Za-z0-9_.:-]{1,128})?$")]


class IngestSettings(SettingsSection):
    """How events of buckets become jobs. `DARKROOM_SOURCES` says which buckets an owner may use."""

    ignore: tuple[str, ...] = Field(
        (),
        description="Patterns of keys that are no photos, such as `*.xmp` or `*/thumbs/*`: `*` stands for any text, "
        "slashes too, `?` for a character, `[ab]` for one of these.",
    )
    redis_list: ListName = Field(
        "",
        description="A Redis list that events are taken from, such as MinIO pushes them to (`notify_redis`, format "
        "`access`). Empty: none.",
    )
    redis_url: RedisAddress = Field(
        "", repr=False, description="The Redis with that list; empty: that of `DARKROOM_REDIS_URL`."
    )
    owner: str | None = Field(
        None,
        description="Whose jobs that list's events become: an owner in `DARKROOM_API_KEYS`, if there are any.",
    )
    preset: str | None = Field(
        None, description="The preset of these jobs; by default that of an upload that names none."
    )
    max_dead: Count = Field(
        1000, description="Messages that cannot be read are kept in the list `<redis_list>:dead`, the last so many."
    )
