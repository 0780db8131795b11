"""The settings of the gateway: what it accepts from the network, from whom, and how fast."""

from __future__ import annotations

import re
from typing import Annotated

from limits import parse as parse_rate_limit
from pydantic import Field, IPvAnyNetwork, field_validator

from pipeline.origins import Origin, SentOrigin
from pipeline.settings_section import Count, Seconds, SettingsSection

HostName = Annotated[str, Field(pattern=r"^(\*|[A-Za-z0-9_.-]+)$")]
_SEPARATORS = re.compile(r"[,\s]+")
ROOT_PATH_PATTERN = r"^(/[A-Za-z0-9._~-]+)*$"


class HttpSettings(SettingsSection):
    """What the gateway accepts from the network, and how it is reached."""

    allowed_hosts: tuple[HostName, ...] = Field(
        (),
        description="Host names that requests may name, such as `photos.example`, or `*` for any. Loopback names and "
        "IP addresses are always allowed. Empty: any name if API keys are set, none without keys.",
    )
    allowed_origins: tuple[Origin, ...] = Field(
        (),
        description="Origins, such as `https://app.example`, whose pages may send requests that change something, but "
        "not read the answers: see `cors.origins`. Pages of the gateway's own origin may always.",
    )
    trusted_proxies: tuple[IPvAnyNetwork, ...] = Field(
        (),
        description="Networks of the proxies in front of the gateway. Only their `X-Forwarded-For`, "
        "`X-Forwarded-Proto` and `X-Forwarded-Prefix` are believed. One element may be a list that is separated by "
        "commas or spaces.",
    )
    root_path: str = Field(
        "",
        pattern=ROOT_PATH_PATTERN,
        description="Path that a proxy removes before it passes requests on, such as `/api`; links in answers begin "
        "with it. `X-Forwarded-Prefix` of a trusted proxy overrides it.",
    )
    cross_origin_results: bool = Field(default=False, description="Let pages of other origins show results in `<img>`.")
    max_header_bytes: Count = Field(
        64 * 1024, description="Request line and header fields together; more are answered 431."
    )
    header_timeout: Seconds = Field(10, description="How long a client may take to send its headers.")
    idle_timeout: Seconds = Field(30, description="How long a client may send nothing of a body that it has begun.")
    receive_timeout: Seconds = Field(
        1800, description="How long a body may take in all; never more than half of `sweeper.orphan_grace`."
    )
    min_upload_rate: Count = Field(
        1024,
        description="Bytes a second that a body must have on average, apart from twice `idle_timeout` at its start.",
    )
    key_lease: Seconds = Field(
        8,
        description="An Idempotency-Key whose gateway has died is free again after this long; while a request is "
        "received, its lease is renewed.",
    )
    shutdown_timeout: Seconds = Field(
        30,
        description="How long requests under way may take after a stop signal; an upload that is still being received "
        "is then answered 503. The process is killed after 40 s in the deployments here.",
    )
    max_connections: Count = Field(
        4096,
        description="Connections open at a time, and never more than 40 % of the files that the process may open; for "
        "further ones, those that have been idle for the longest are closed.",
    )
    max_uploads: Count = Field(64, description="Uploads received at a time; further ones are answered 503.")
    max_uploads_per_caller: Count = Field(
        32,
        description="Of these, uploads of one caller: an API key, a token's owner at one address, or, without keys, "
        "an address.",
    )
    max_downloads: Count = Field(400, description="Results sent at a time; further ones are answered 503.")
    max_downloads_per_caller: Count = Field(200, description="Of these, results for one caller.")
    max_streams: Count = Field(
        2000, description="Event streams and waiting status requests at a time; further ones are answered 503."
    )
    max_streams_per_caller: Count = Field(200, description="Of these, streams of one caller.")

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _split_lists(cls, value: object) -> object:
        if not isinstance(value, list | tuple):
            return value
        return [
            name for item in value for name in (_SEPARATORS.split(item) if isinstance(item, str) else [item]) if name
        ]


class CorsSettings(SettingsSection):
    """Which web pages of other origins may use the gateway (CORS)."""

    origins: tuple[SentOrigin, ...] = Field(
        (),
        description="Origins, such as `https://app.example`, whose pages may upload, follow jobs and read results. "
        "Exactly as browsers send them: in lower case, without a path, a slash at the end, or a wildcard. Empty: none.",
    )
    max_age: int = Field(
        7200,
        ge=0,
        description="How long browsers may keep the answer to a preflight. Chromium keeps it for two hours at most.",
    )


class AccessSettings(SettingsSection):
    """How many requests are allowed, and when new jobs are refused."""

    rate_limit: str = Field(
        "", description="POSTs allowed per API key, or per address without keys, such as `60/minute`; empty: no limit."
    )
    list_rate_limit: str = Field(
        "", description="Lists (`GET /jobs`) allowed per API key, or per address without keys; empty: no limit."
    )
    max_queue: Count = Field(
        10_000, description="New jobs are answered 503 while any queue holds at least this many messages."
    )
    deduplicate: bool = Field(default=False, description="Answer a repeated upload with copies of the earlier results.")

    @field_validator("rate_limit", "list_rate_limit")
    @classmethod
    def _check_rate_limit(cls, value: str) -> str:
        if value:
            parse_rate_limit(value)
        return value


class FormsSettings(SettingsSection):
    """How forms are read."""

    strict: bool = Field(
        default=False,
        description="Refuse forms with unknown fields (422), instead of naming these fields in `warnings` of the "
        "answer. Misspelt fields are always refused.",
    )


class BlobsSettings(SettingsSection):
    """How much of the disk with the blobs uploads leave free, so that accepted jobs can finish."""

    reserve_bytes: int = Field(
        2 * 1024**3,
        ge=0,
        description="Bytes of the disk of a `file://` store that uploads leave free; they are answered 503 "
        "(`storage_full`) instead. 0: they may fill it.",
    )
    reserve_share: float = Field(
        0.05, ge=0, lt=1, description="The same as a share of the disk; the smaller of the two counts."
    )


class ResumableSettings(SettingsSection):
    """How long unfinished resumable uploads (tus) are kept, and how many."""

    expires: Seconds = Field(
        86_400, description="An unfinished upload is removed when nothing of it has come for this long."
    )
    part_bytes: Count = Field(
        5 * 1024 * 1024,
        description="Bytes after which the progress of an upload is recorded: what a gateway that is killed loses at "
        "most. Smaller parts cost more requests to the stores.",
    )
    max_unfinished_per_caller: Count = Field(
        100,
        description="Unfinished uploads of one caller; further ones are answered 429.",
    )


class BulkSettings(SettingsSection):
    """How fast bulk actions go, so that uploads do not queue behind them, and how many there may be."""

    rate: float = Field(
        20, gt=0, le=1000, description="Jobs per second that a gateway carries bulk actions out on, of all owners."
    )
    max_queue: Count = Field(
        100, description="Bulk actions that start jobs wait while any queue holds at least this many messages."
    )
    max_task_ids: Count = Field(1000, le=10_000, description="Jobs that a bulk action may name by their ids.")
    max_active_per_owner: Count = Field(
        4, description="Bulk actions of one owner that have not ended; further ones are answered 429."
    )
    lease: Seconds = Field(
        15, description="If the gateway that carries out a bulk action dies, another one goes on after this long."
    )

    @property
    def batch_jobs(self) -> int:
        """Jobs that a gateway handles before it looks at the next bulk action."""
        return min(max(int(self.rate), 1), 50)

    @property
    def lease_ms(self) -> int:
        """Length of a lease: what is left of one after a batch at the `rate` is the `lease`."""
        return int((self.lease + self.batch_jobs / self.rate) * 1000)


class LanesSettings(SettingsSection):
    """Which jobs take the bulk lane, so that a burst does not delay the jobs of others."""

    burst: str = Field(
        "30/10 second",
        description="Jobs per API key or address that take the express lane; further jobs take the bulk lane, unless "
        "the caller has fewer than 4 unfinished jobs.",
    )
    heavy_bytes: Count = Field(8 * 1024 * 1024, description="A file of this size or more always takes the bulk lane.")

    @field_validator("burst")
    @classmethod
    def _check_burst(cls, value: str) -> str:
        parse_rate_limit(value)
        return value


class ResultsSettings(SettingsSection):
    """How the bytes of results reach clients."""

    redirect: bool = Field(
        default=False,
        description="Redirect clients to the object store with a signed link that needs no API key, instead of "
        "streaming the bytes. Clients must reach the store under the address that is configured here.",
    )
    redirect_seconds: Seconds = Field(300, le=7 * 86_400, description="How long a signed link is valid.")
    image_wait: float = Field(
        10,
        ge=0,
        le=60,
        description="How long a request for an image on demand waits while it is made, before the answer is 202. "
        "`wait` in the query overrides it.",
    )
