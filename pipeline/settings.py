"""All settings, typed and validated at start; only entry points build them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from pipeline.addresses import BlobAddress, MongoAddress, RabbitAddress, RedisAddress, is_below, overlap
from pipeline.backup_settings import BackupSettings
from pipeline.broker.redis_urls import RedisUrl
from pipeline.http_settings import (
    AccessSettings,
    BlobsSettings,
    BulkSettings,
    CorsSettings,
    FormsSettings,
    HttpSettings,
    LanesSettings,
    ResultsSettings,
    ResumableSettings,
)
from pipeline.ingest_settings import IngestSettings
from pipeline.outbound_settings import (
    Destination,
    FetchSettings,
    Name,
    OutboundSettings,
    SourceBucket,
    WebhookSettings,
)
from pipeline.preset_settings import PresetLimits, PresetsPath
from pipeline.routing import STAGE_NAMES
from pipeline.settings_section import Count, Seconds, SettingsSection
from pipeline.settings_sources import EnvironmentSettings
from pipeline.signing_secrets import SigningSecret, check_signing_secrets
from pipeline.worker_settings import BrokerSettings, WorkSettings
from stages.limits import Limits

Pixels = Annotated[int, Field(ge=1)]
OwnerName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
RenditionName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
PresetName = RenditionName


MAX_DOUBLINGS = 64
"""Doublings of a wait before it is at its limit in any case: a float has no power of two beyond 1023."""


class SweeperSettings(SettingsSection):
    """When the sweeper checks jobs and dispatches them again, and when the tidier removes old data."""

    interval: Seconds = Field(2, description="Wait between two rounds.")
    accept_patience: Seconds = Field(
        15, description="An accepted job is checked if no worker has claimed it after this long."
    )
    patience: Seconds = Field(60, description="A job is checked if it makes no progress for this long.")
    backoff: Seconds = Field(60, description="Wait between two redispatches of one job; doubles each time.")
    max_backoff: Seconds = Field(3600, le=30 * 86_400, description="Longest wait between two redispatches of one job.")
    batch: Count = Field(100, description="Jobs that one round checks, or that one step of the tidier handles.")
    max_generation: Count = Field(6, description="Redispatches of one job before it is dead.")
    tidy_interval: Seconds = Field(
        30,
        description="Wait between two rounds of the tidier when nothing is left to do. If its gateway dies, another "
        "one takes over after three times this long.",
    )
    orphan_grace: Seconds = Field(3600, description="Blobs without a job are removed when they are older than this.")
    refused_grace: Seconds = Field(
        60,
        description="What killed stage runs left of an ended job is removed this long after its end, but not before "
        "`work.time_limit`.",
    )

    def backoff_ms(self, generation: int) -> int:
        """Return the wait after redispatch number `generation`: 0 for none, `backoff` after the first, then doubled.

        It is never longer than `max_backoff`.
        """
        if not generation:
            return 0
        doublings = min(generation - 1, MAX_DOUBLINGS)
        return int(min(self.backoff * 2**doublings, self.max_backoff) * 1000)


class RetentionSettings(SettingsSection):
    """How long results, records of jobs and idempotency keys are kept."""

    results: Seconds = Field(7 * 86_400, description="Blobs of a done or dead job are removed this long after its end.")
    refused: Seconds = Field(
        86_400, description="Blobs of a failed job are removed this long after its end; until then it can be retried."
    )
    records: Seconds = Field(30 * 86_400, description="A job's document is deleted this long after its blobs.")
    idempotency_keys: Seconds = Field(86_400, description="How long an Idempotency-Key is remembered.")


class MetricsSettings(SettingsSection):
    """Where a worker serves its metrics, and how often the gateway updates its gauges at `/metrics`."""

    host: str = Field("127.0.0.1", description="Address that a worker's exporter listens on.")
    port: int = Field(0, ge=0, le=65535, description="Port of a worker's exporter; 0: no exporter.")
    look_interval: Seconds = Field(5, description="How often the gateway reads queues, jobs and dependencies.")
    count_interval: Seconds = Field(30, description="How often the gateway counts all jobs by state.")


class Settings(EnvironmentSettings):
    """The settings of a process, from `DARKROOM_*` variables; nested ones as `DARKROOM_WORK__TIME_LIMIT`.

    When a variable is unset or empty, the value comes from the file of the same name in lower case
    (`darkroom_redis_url`) in the folder `DARKROOM_SECRETS_DIR`. So no password needs to be in the environment.
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
        description="Redis for messages, notifications, rate limits and chords: `redis://`, `rediss://` or "
        "`sentinel://`.",
    )
    broker_url: RabbitAddress = Field(
        "", repr=False, description="RabbitMQ, to carry messages instead of Redis: `amqp://` or `amqps://`."
    )
    result_url: RedisAddress = Field(
        "", description="Redis database of the chord counters; by default the next one of the same Redis."
    )
    mongo_url: MongoAddress = Field(
        "mongodb://127.0.0.1:27017/darkroom", description="MongoDB for the job documents; a server or a replica set."
    )
    mongo_timeout: Seconds = Field(
        2, description="How long finding and connecting to MongoDB may take; a reply may take twice as long."
    )
    blob_url: BlobAddress = Field(
        default_factory=lambda: Path(".darkroom/blobs").absolute().as_uri(),
        description="Store of the blobs: `file:///folder`, `s3://bucket/prefix`, `gs://` or `az://`.",
    )
    renditions: dict[RenditionName, Pixels] = Field(
        {"small": 160, "medium": 640, "large": 1600},
        min_length=1,
        description="Long edge of each rendition of the preset `default`, in pixels; a `[default]` in the file of "
        "presets replaces it.",
    )
    presets: PresetsPath = Field(
        "",
        description="The file of presets, or a folder of `*.toml` files. The gateway reads it, and again when it "
        "changes. Empty: only the preset `default`.",
    )
    api_keys: dict[OwnerName, Sha256] = Field(
        {}, description="SHA-256 (hex) of each owner's API key; empty: no key needed."
    )
    signing_secrets: dict[OwnerName, tuple[SigningSecret, ...]] = Field(
        {},
        description="The secret that signs each owner's tokens, of at least 32 characters: "
        '`{"shop": "SECRET"}`, or `{"shop": ["NEW", "OLD"]}` while one replaces the other. Empty: no tokens.',
    )
    key_presets: dict[OwnerName, Annotated[tuple[PresetName, ...], Field(min_length=1)]] = Field(
        {},
        description='The only presets that an owner\'s key and tokens may upload with: `{"shop": ["product"]}`. Such '
        "a caller may use no operations. An owner who is not here may use everything.",
    )
    sources: dict[OwnerName | Literal["*"], tuple[SourceBucket, ...]] = Field(
        {},
        repr=False,
        description="The buckets, or folders of buckets, whose objects an owner may make jobs of (`source_key`, bucket "
        'events): `{"shop": [{"url": "s3://incoming/shop"}]}`. `*` is everybody where no API keys are set.',
    )
    destinations: dict[Name, Destination] = Field(
        {},
        repr=False,
        description='The buckets that presets may put results into, by name: `{"shop": {"url": "s3://results", '
        '"options": {"aws_access_key_id": "..."}}}`. Only workers of the queue `fetch` need `options`.',
    )
    log_format: str = Field(
        "auto",
        pattern="^(auto|json|console)$",
        description="`json`, `console`, or `auto`: `console` on a terminal, else `json`.",
    )
    limits: Limits = Limits()
    preset_limits: PresetLimits = PresetLimits()
    work: WorkSettings = WorkSettings()
    broker: BrokerSettings = BrokerSettings()
    sweeper: SweeperSettings = SweeperSettings()
    retention: RetentionSettings = RetentionSettings()
    http: HttpSettings = HttpSettings()
    cors: CorsSettings = CorsSettings()
    access: AccessSettings = AccessSettings()
    forms: FormsSettings = FormsSettings()
    blobs: BlobsSettings = BlobsSettings()
    resumable: ResumableSettings = ResumableSettings()
    lanes: LanesSettings = LanesSettings()
    bulk: BulkSettings = BulkSettings()
    outbound: OutboundSettings = OutboundSettings()
    webhooks: WebhookSettings = WebhookSettings()
    fetch: FetchSettings = FetchSettings()
    ingest: IngestSettings = IngestSettings()
    results: ResultsSettings = ResultsSettings()
    metrics: MetricsSettings = MetricsSettings()
    backup: BackupSettings = BackupSettings()

    @field_validator("limits", mode="before")
    @classmethod
    def _forbid_unknown_limits(cls, limits: object) -> object:
        """Refuse unknown names, as sections do: a dataclass ignores them."""
        if isinstance(limits, dict) and (unknown := set(limits) - set(Limits.__dataclass_fields__)):
            raise ValueError(f"there is no limit called {', '.join(sorted(unknown))}")
        return limits

    @field_validator("renditions")
    @classmethod
    def _check_rendition_names(cls, renditions: dict[str, int]) -> dict[str, int]:
        if stage_names := set(renditions) & STAGE_NAMES:
            raise ValueError(f"a rendition cannot have the name of a stage: {', '.join(sorted(stage_names))}")
        return renditions

    @field_validator("signing_secrets", mode="before")
    @classmethod
    def _list_signing_secrets(cls, secrets: object) -> object:
        if not isinstance(secrets, dict):
            return secrets
        return {owner: [value] if isinstance(value, str) else value for owner, value in secrets.items()}

    @model_validator(mode="after")
    def _check_signing_secrets(self) -> Settings:
        check_signing_secrets(self.signing_secrets, self.api_keys)
        return self

    @model_validator(mode="after")
    def _check_key_presets(self) -> Settings:
        if unknown := sorted(set(self.key_presets) - set(self.api_keys)):
            raise ValueError(
                f"DARKROOM_KEY_PRESETS: {', '.join(unknown)} should be among the owners in DARKROOM_API_KEYS"
            )
        return self

    @model_validator(mode="after")
    def _check_ingest_owner(self) -> Settings:
        owners: list[str | None] = [*self.api_keys] or [None]
        if self.ingest.redis_list and self.ingest.owner not in owners:
            raise ValueError(
                "DARKROOM_INGEST__OWNER should be one of the owners in DARKROOM_API_KEYS, and not be set without any"
            )
        return self

    @model_validator(mode="after")
    def _check_time_limits(self) -> Settings:
        if not self.work.soft_time_limit < self.work.time_limit < self.broker.visibility_timeout:
            msg = (
                "DARKROOM_WORK__SOFT_TIME_LIMIT < DARKROOM_WORK__TIME_LIMIT < DARKROOM_BROKER__VISIBILITY_TIMEOUT must "
                "hold: otherwise a message is delivered again while it is still processed"
            )
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _check_result_database(self) -> Settings:
        if not self.result_url:
            try:
                _ = RedisUrl(self.redis_url).database
            except ValueError as error:
                raise ValueError(f"DARKROOM_REDIS_URL {error}: set DARKROOM_RESULT_URL") from None
        return self

    @model_validator(mode="after")
    def _check_redirect_store(self) -> Settings:
        scheme = urlsplit(self.blob_url).scheme
        if self.results.redirect and scheme in {"file", "memory"}:
            raise ValueError(
                "DARKROOM_RESULTS__REDIRECT needs an object store as DARKROOM_BLOB_URL (s3, gs or az): "
                f"{scheme} has no signed links"
            )
        return self

    @model_validator(mode="after")
    def _check_backup_target(self) -> Settings:
        if is_below(self.backup.target, self.blob_url):
            raise ValueError(
                "DARKROOM_BACKUP__TARGET must not be in DARKROOM_BLOB_URL: each backup would contain all earlier ones"
            )
        return self

    @model_validator(mode="after")
    def _check_sources(self) -> Settings:
        """Refuse a source with the blobs or backups of all owners in it, unless it is at another endpoint."""
        for source in (each for sources in self.sources.values() for each in sources):
            for variable, url in (("BLOB_URL", self.blob_url), ("BACKUP__TARGET", self.backup.target)):
                if not source.is_elsewhere and overlap(source.url, url):
                    raise ValueError(
                        f"DARKROOM_SOURCES must not contain DARKROOM_{variable}, or be in it: an owner could read the "
                        "images of the others"
                    )
        return self

    @property
    def fetch_seconds(self) -> float:
        """How long fetching an original may take: it must end by itself before the soft time limit."""
        return min(self.fetch.timeout, 0.8 * self.work.soft_time_limit)

    @property
    def receive_seconds(self) -> float:
        """How long a body may take: its blob becomes an orphan for the tidier after `orphan_grace`."""
        return min(self.http.receive_timeout, self.sweeper.orphan_grace / 2)

    @property
    def run_grace_ms(self) -> int:
        """How long after the end of a job its runs may still write: each ends by its lease, if not by itself."""
        return int(max(self.sweeper.refused_grace, self.work.time_limit) * 1000)

    @property
    def leftover_grace_ms(self) -> int:
        """How long after the end of a job its replaced results stay: for its runs, and for links that are signed."""
        links_ms = int(self.results.redirect_seconds * 1000) if self.results.redirect else 0
        return max(self.run_grace_ms, links_ms)

    @property
    def result_backend_url(self) -> str:
        """The Redis database of chord counters: `result_url`, or the one after the broker's."""
        if self.result_url:
            return self.result_url
        url = RedisUrl(self.redis_url)
        return url.with_database(url.database + 1)
