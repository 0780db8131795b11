"""Settings of what goes out to other hosts: webhooks, imports and buckets, and the one guard for all of them."""

from __future__ import annotations

import os
from base64 import b64decode, b64encode
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from obstore.exceptions import BaseError, UnknownConfigurationKeyError
from pydantic import AfterValidator, Field, field_validator, model_validator

from pipeline.addresses import BUCKET_SCHEMES, BlobAddress, BucketAddress
from pipeline.outbound.allow_list import check_allowed
from pipeline.outbound.proxy import check_proxy
from pipeline.settings_section import Count, Seconds, SettingsSection
from storage.events import EventType
from storage.object_store import connect

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
SECRET_PREFIX = "whsec_"  # noqa: S105  # of every secret
MIN_KEY_BYTES, MAX_KEY_BYTES = 24, 64


def check_webhook_secret(text: str) -> str:
    """Return a secret that events are signed with. ValueError says how to write it."""
    try:
        key = b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except ValueError:
        key = b""
    if text != SECRET_PREFIX + b64encode(key).decode() or not MIN_KEY_BYTES <= len(key) <= MAX_KEY_BYTES:
        raise ValueError(f"should be {SECRET_PREFIX} and the base64 of {MIN_KEY_BYTES} to {MAX_KEY_BYTES} bytes")
    return text


WebhookSecret = Annotated[str, AfterValidator(check_webhook_secret)]


class OutboundSettings(SettingsSection):
    """Which addresses webhooks and imports may connect to."""

    allow: tuple[Annotated[str, AfterValidator(check_allowed)], ...] = Field(
        (),
        description="Hosts and networks that are not on the Internet and may be connected to all the same: "
        "`hooks.internal`, `hooks.internal:9000`, `10.1.0.0/16` or `[fd00::1]:9000`. A port that is written here needs "
        "not be in `ports`; `10.1.0.0/16:*` has all ports.",
    )
    ports: tuple[Annotated[int, Field(ge=1, le=65535)], ...] = Field(
        (80, 443, 8080, 8443), description="Ports that may be connected to."
    )
    schemes: tuple[Literal["http", "https"], ...] = Field(
        ("https", "http"), min_length=1, description="Schemes of addresses that may be connected to."
    )
    proxy: Annotated[str, AfterValidator(check_proxy)] = Field(
        "",
        repr=False,
        description="An HTTP proxy for all of it, such as `http://proxy.internal:3128`; then the proxy looks hosts up, "
        "and must refuse those inside itself. Variables such as `HTTPS_PROXY` have no effect.",
    )


class FixedWebhook(SettingsSection):
    """A webhook that is set up by the settings: the API shows it and does not change it."""

    url: str
    owner: str | None = Field(None, description="Whose jobs it is told of; null where no API keys are set.")
    secrets: tuple[WebhookSecret, ...] = Field(min_length=1, repr=False, description="`whsec_...`, the newest first.")
    events: tuple[EventType, ...] = ()
    is_thin: bool = False


class WebhookSettings(SettingsSection):
    """How events are sent to webhooks."""

    fixed: dict[Name, FixedWebhook] = Field(
        {},
        repr=False,
        description='Webhooks that the API cannot change, by name: `{"shop": {"url": "https://shop.example/hook", '
        '"owner": "shop", "secrets": ["whsec_..."], "events": ["job.done"]}}`.',
    )
    public_url: str = Field(
        "",
        description="The address of the gateway for those who receive events, such as `https://photos.example`: the "
        "links of a payload begin with it. Empty: they begin with `http.root_path`.",
    )
    timeout: Seconds = Field(
        15, le=30, description="How long an endpoint may take to answer; at most half of `work.soft_time_limit`."
    )
    retry_waits: tuple[Seconds, ...] = Field(
        (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400),
        description="Waits between the tries of one delivery; up to a tenth is added to each. After the try that "
        "follows the last one, the delivery has failed.",
    )
    max_in_flight: Count = Field(4, le=32, description="Deliveries to one endpoint at a time.")
    max_per_owner: Count = Field(20, description="Webhooks of one owner; further ones are answered 409.")
    disable_after: Seconds = Field(
        5 * 86_400, description="An endpoint that has taken nothing for this long, and failed, is disabled."
    )


class FetchSettings(SettingsSection):
    """How originals are fetched from addresses that clients name."""

    timeout: Seconds = Field(40, description="How long fetching an image may take; below `work.soft_time_limit`.")
    idle_timeout: Seconds = Field(10, description="How long the other side may send nothing.")
    max_redirects: int = Field(3, ge=0, le=10, description="Redirects that are followed; each is checked.")


class Bucket(SettingsSection):
    """A bucket, or a folder of one, with what opens it."""

    url: BlobAddress
    options: dict[str, str] = Field(
        default_factory=dict,
        repr=False,
        description="As for `DARKROOM_BLOB_URL`, but in lower case: `aws_access_key_id`, `aws_endpoint_url`.",
    )


class SourceBucket(Bucket):
    """A bucket, or a folder of one, whose objects an owner may make jobs of."""

    @field_validator("url")
    @classmethod
    def _check_scheme(cls, url: str) -> str:
        if urlsplit(url).scheme not in BUCKET_SCHEMES | {"file"} or {"?", "#"} & set(url):
            raise ValueError("must be a bucket, or a folder of one: s3://bucket/path")
        if urlsplit(url).password is not None:  # the address is stored in each job
            raise ValueError("must be the address only: keys and other options are in `options`")
        return url

    @property
    def is_elsewhere(self) -> bool:
        """Whether it is at an endpoint that no variable of the environment names, as those of the blobs are."""
        own = {value.rstrip("/") for name, value in os.environ.items() if "ENDPOINT" in name}
        return any("endpoint" in name.lower() and url.rstrip("/") not in own for name, url in self.options.items())


class Destination(Bucket):
    """A bucket that renditions can be put into, by presets that name it.

    The gateway needs only its name and its address; the workers of the queue `fetch` need the options, too. With
    options, nothing of the environment is used; without, what `DARKROOM_BLOB_URL` uses of it.
    """

    url: BucketAddress

    @model_validator(mode="after")
    def _check_options(self) -> Self:
        if self.options:
            try:
                connect(self.url, options=self.options)
            except UnknownConfigurationKeyError as error:  # of all these errors, only this one has no value in it
                name = str(error).partition("\n")[0].partition("'")[2].partition("'")[0]
                raise ValueError(f"has an option that such a store does not know: {name}") from None
            except (BaseError, OSError, ValueError):
                raise ValueError("has options that do not fit: a key without its secret, or a wrong value") from None
        return self
