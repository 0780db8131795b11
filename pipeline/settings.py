"""Every setting, typed and checked at start; built only where a process begins."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from limits import parse as parse_rate_limit
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from pipeline.broker.rabbit_urls import RabbitUrl
from pipeline.broker.redis_urls import RedisUrl
from pipeline.routing import QUEUES, RESIZE
from stages.limits import Limits

Seconds = Annotated[float, Field(gt=0)]
Pixels = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=1)]
OwnerName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
RedisAddress = Annotated[str, AfterValidator(lambda value: value and RedisUrl(value).text)]
RabbitAddress = Annotated[str, AfterValidator(lambda value: value and RabbitUrl(value).text)]
RenditionName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]


class _SettingsSection(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class WorkSettings(_SettingsSection):
    """How long a stage may take and how often it is tried."""

    soft_time_limit: Seconds = Field(50, description="A run that takes longer is stopped, and tried again.")
    time_limit: Seconds = Field(60, description="A run that does not stop is killed with its process after this long.")
    max_attempts: Count = Field(
        4,
        description="Runs of one stage that may end in a crash or a bug before the job is dead.",
    )
    max_retries: Count = Field(5, description="Retries of one message when the infrastructure fails.")
    retry_base: Seconds = Field(
        1,
        description="First retry after about this long; doubles each time, with jitter.",
    )
    retry_cap: Seconds = Field(30, description="No retry waits longer, but for `retry_base`.")
    max_tasks_per_child: Count = Field(2000, description="Tasks after which a child process is replaced.")
    max_memory_per_child_kib: Count = Field(
        1024 * 1024,
        description="KiB of memory above which a child is replaced, once its task has ended.",
    )
    soft_shutdown_timeout: Seconds = Field(
        20,
        description="What a worker that is told to stop may still finish; the rest goes back to its queue.",
    )


class BrokerSettings(_SettingsSection):
    """How Redis, or RabbitMQ, is used for messages; the defaults of Celery and kombu lose work, these do not."""

    visibility_timeout: Seconds = Field(120, description="What is unacknowledged for this long, Redis delivers again.")
    restore_interval: Count = Field(5, description="Between looks for messages that are to be delivered again.")
    restore_mutex_expire: Count = Field(30, description="One worker looks at a time; if it dies, another after this.")
    connect_timeout: Seconds = Field(2, description="How long a connection to the broker may take.")
    socket_timeout: Seconds = Field(5, description="How long a worker waits for an answer of the broker.")
    publish_timeout: Seconds = Field(2, description="Socket timeout of the gateway: what a frozen broker costs.")
    health_check_interval: Count = Field(10, description="A connection unused for this long is tried before its use.")
    result_expires: Count = Field(3600, description="Of Celery's results, of which none is stored.")
    chord_expires: Count = Field(86_400, description="How long the count of a chord's parts is kept.")
    result_max_retries: Count = Field(12, description="Attempts to count a part of a chord while Redis is away.")


class SweeperSettings(_SettingsSection):
    """When the sweeper looks, and when it steps in."""

    interval: Seconds = Field(2, description="Between rounds.")
    accept_patience: Seconds = Field(
        15,
        description="An accepted job that no worker took is looked at after this long.",
    )
    patience: Seconds = Field(60, description="A job that stands still is looked at after this long.")
    backoff: Seconds = Field(60, description="Between dispatches of one job; doubles each time.")
    batch: Count = Field(100, description="Jobs that are looked at in one round.")
    max_generation: Count = Field(6, description="Times a job is dispatched again before it is dead.")
    tidy_interval: Seconds = Field(30, description="Between rounds that remove what nobody needs any more.")
    orphan_grace: Seconds = Field(3600, description="Blobs without a job are removed when older than this.")
    refused_grace: Seconds = Field(
        60,
        description="Blobs of a failed job that its worker left are removed after this long.",
    )

    def backoff_ms(self, generation: int) -> int:
        """Return the wait before dispatch number `generation`: none before the first, then twice as long each time."""
        return int(self.backoff * 1000) << (generation - 1) if generation else 0


class RetentionSettings(_SettingsSection):
    """How long results, and then the records of their jobs, are kept."""

    results: Seconds = Field(7 * 86_400, description="Seconds until the blobs of an ended job are removed.")
    records: Seconds = Field(30 * 86_400, description="Seconds after that until its document is removed.")
    idempotency_keys: Seconds = Field(86_400, description="Seconds that an Idempotency-Key is remembered.")


class AccessSettings(_SettingsSection):
    """How often one may ask, and when it is too much."""

    rate_limit: str = Field("", description="POSTs by key or address, such as `60/minute`; empty: no limit.")
    max_queue: Count = Field(10_000, description="Messages in one queue from which on new work is answered 503.")
    deduplicate: bool = Field(default=False, description="Answer a repeated upload with copies of the earlier results.")

    @field_validator("rate_limit")
    @classmethod
    def _rate_limit_can_be_read(cls, value: str) -> str:
        if value:
            parse_rate_limit(value)
        return value


class LanesSettings(_SettingsSection):
    """Which jobs wait behind a burst, so that others need not."""

    burst: str = Field(
        "30/10 second",
        description="Jobs of one key or address that go ahead of bulk work; those over it are bulk themselves.",
    )
    heavy_bytes: Count = Field(8 * 1024 * 1024, description="A file of this size or more is bulk work in any case.")

    @field_validator("burst")
    @classmethod
    def _burst_can_be_read(cls, value: str) -> str:
        parse_rate_limit(value)
        return value


class ResultsSettings(_SettingsSection):
    """How the bytes of results reach clients."""

    redirect: bool = Field(
        default=False,
        description="Send clients to the object store, by a link that needs no key, instead of passing its bytes on. "
        "They must reach it under the address that is configured here.",
    )
    redirect_seconds: Seconds = Field(300, le=7 * 86_400, description="How long such a link is good for.")


class MetricsSettings(_SettingsSection):
    """Where a worker serves its metrics; the gateway has them at `/metrics`."""

    host: str = Field("127.0.0.1", description="Address that the exporter listens on.")
    port: int = Field(0, ge=0, le=65535, description="Of a worker's exporter; 0: it has none.")
    look_interval: Seconds = Field(5, description="Between the gateway's looks at queues, jobs and dependencies.")
    count_interval: Seconds = Field(30, description="Between its counts of the jobs that have ended.")


class Settings(BaseSettings):
    """The settings of a process, from `DARKROOM_*` variables; nested ones as `DARKROOM_WORK__TIME_LIMIT`.

    Where a variable is unset or empty, a file of its name in the folder `DARKROOM_SECRETS_DIR` speaks for it
    (`darkroom_redis_url`): so no password needs to be in the environment.
    """

    model_config = SettingsConfigDict(
        env_prefix="DARKROOM_",
        env_nested_delimiter="__",
        env_ignore_empty=True,
        frozen=True,
        extra="ignore",
        env_file=None,
        secrets_dir=os.environ.get("DARKROOM_SECRETS_DIR") or None,
        hide_input_in_errors=True,  # it may hold a password
    )

    redis_url: RedisAddress = Field(
        "redis://127.0.0.1:6379/0",
        description="Messages, hints, rate limits, chords: `redis://`, `rediss://` or `sentinel://`.",
    )
    broker_url: RabbitAddress = Field(
        "", repr=False, description="RabbitMQ, if it and not Redis is to carry messages: `amqp://` or `amqps://`."
    )
    result_url: RedisAddress = Field(
        "", description="Where chords are counted; by default the next database of the same Redis."
    )
    mongo_url: str = Field("mongodb://127.0.0.1:27017/darkroom", description="Job documents; a replica set as well.")
    mongo_timeout: Seconds = Field(2, description="How long MongoDB may take to be found, and half of an answer.")
    blob_url: str = Field(
        default_factory=lambda: Path(".darkroom/blobs").absolute().as_uri(),
        description="Bytes: `file:///folder`, `s3://bucket/prefix`, `gs://` or `az://`.",
    )
    renditions: dict[RenditionName, Pixels] = Field(
        {"small": 160, "medium": 640, "large": 1600},
        min_length=1,
        description="Long edge of each rendition.",
    )
    api_keys: dict[OwnerName, Sha256] = Field({}, description="SHA-256 (hex) of each owner's key; none: open to all.")
    log_format: str = Field(
        "auto",
        pattern="^(auto|json|console)$",
        description="`json`, `console`, or `auto`: by whether there is a terminal.",
    )
    limits: Limits = Limits()
    work: WorkSettings = WorkSettings()
    broker: BrokerSettings = BrokerSettings()
    sweeper: SweeperSettings = SweeperSettings()
    retention: RetentionSettings = RetentionSettings()
    access: AccessSettings = AccessSettings()
    lanes: LanesSettings = LanesSettings()
    results: ResultsSettings = ResultsSettings()
    metrics: MetricsSettings = MetricsSettings()

    @field_validator("renditions")
    @classmethod
    def _renditions_are_no_stages(cls, renditions: dict[str, int]) -> dict[str, int]:
        if taken := set(renditions) & set(QUEUES) - {RESIZE}:
            raise ValueError(f"a rendition cannot have the name of a stage: {', '.join(sorted(taken))}")
        return renditions

    @model_validator(mode="after")
    def _limits_are_ordered(self) -> Settings:
        if not self.work.soft_time_limit < self.work.time_limit < self.broker.visibility_timeout:
            msg = "soft_time_limit < time_limit < visibility_timeout: else a message is delivered again while it runs"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _results_have_a_database(self) -> Settings:
        if not self.result_url:
            try:
                _ = RedisUrl(self.redis_url).database
            except ValueError as error:
                raise ValueError(f"redis_url {error}: set result_url") from None
        return self

    @model_validator(mode="after")
    def _redirects_have_a_store(self) -> Settings:
        scheme = urlsplit(self.blob_url).scheme
        if self.results.redirect and scheme in {"file", "memory"}:
            raise ValueError(f"results.redirect needs an object store as blob_url, s3, gs or az: {scheme} has no links")
        return self

    @property
    def result_backend_url(self) -> str:
        """The Redis database of chord counters: `result_url`, or the one after the broker's."""
        if self.result_url:
            return self.result_url
        url = RedisUrl(self.redis_url)
        return url.with_database(url.database + 1)
