"""Connections to object stores: their options, timeouts and retries."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from obstore.store import AzureStore, GCSStore, S3Store, from_url

if TYPE_CHECKING:
    from obstore.store import ObjectStore

PREFIXES = {"gs": "GOOGLE_", "az": "AZURE_", "azure": "AZURE_", "adl": "AZURE_", "abfs": "AZURE_", "abfss": "AZURE_"}
"""Prefix of the environment variables, by URL scheme; `AWS_` for all others."""

TIMEOUTS = {"connect_timeout": "2s", "read_timeout": "10s", "timeout": "10m"}
"""Timeouts of a request: to connect; until the first byte of the answer and between two reads; and in total.

A store that hangs costs `read_timeout`. A part of REMOTE_CHUNK_BYTES bytes must be sent within it, too. The total is
long because results are read from the store only as fast as the client receives them. Each can be set in the
environment, as AWS_READ_TIMEOUT=30s.
"""

RETRY: Any = {
    "max_retries": 3,
    "retry_timeout": timedelta(seconds=10),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=1), "base": 2},
}
"""Refused connections and 5xx answers are retried, timeouts only for idempotent requests, all in `retry_timeout`.

So a request takes 20 s at most. After that the caller retries: a client after a 503, or a stage in its next run.
"""

ARCHIVE_TIMEOUTS = {"connect_timeout": "10s", "read_timeout": "5m", "timeout": "30m"}
ARCHIVE_RETRY: Any = RETRY | {"max_retries": 10, "retry_timeout": timedelta(minutes=10)}
"""For archives, whose parts are large, and which nobody waits for."""

PROBE = {"connect_timeout": "2s", "read_timeout": "2s", "timeout": "2s"}
NO_RETRY: Any = {"max_retries": 0, "retry_timeout": timedelta(seconds=2)}

ENVIRONMENT_OPTIONS = (
    *TIMEOUTS,
    "allow_http",
    "allow_invalid_certificates",
    "proxy_url",
    "proxy_ca_certificate",
    "proxy_excludes",
    "root_certificate",
)
"""Client options that are read here: obstore itself reads them only when it is called without client options."""
CLIENT_OPTIONS = {
    *ENVIRONMENT_OPTIONS,
    "default_content_type",
    "http1_only",
    "http2_keep_alive_interval",
    "http2_keep_alive_timeout",
    "http2_keep_alive_while_idle",
    "http2_max_frame_size",
    "http2_only",
    "pool_idle_timeout",
    "pool_max_idle_per_host",
    "randomize_addresses",
    "user_agent",
}
"""All client options: among the options of a bucket, they have the prefix, too."""
_ENVIRONMENT_LOCK = Lock()


def connect(url: str, *, options: Mapping[str, str] | None = None) -> ObjectStore:
    """Return the store at an `s3://`, `gs://` or `az://` URL; keys, region and endpoint come from the environment.

    With `options`, such as `aws_access_key_id` and `aws_endpoint_url`, nothing comes from the environment. Sends no
    request. Raises obstore's `BaseError`, OSError or ValueError for an unusable URL, environment or option; the message
    may have a secret in it.
    """
    store: ObjectStore
    if not options:
        with _ENVIRONMENT_LOCK:
            store = from_url(url, client_options=_client_options(url, TIMEOUTS), retry_config=RETRY)
        return store
    config, client_options = _split_options(url, options)
    with _hidden_environment():
        store = from_url(url, config=config, client_options=TIMEOUTS | client_options, retry_config=RETRY)
    return store


def connect_for_archives(url: str) -> ObjectStore:
    """Return the same store for large archives: with long timeouts."""
    store: ObjectStore = from_url(
        url, client_options=_client_options(url, ARCHIVE_TIMEOUTS), retry_config=ARCHIVE_RETRY
    )
    return store


def connect_probe(url: str) -> ObjectStore:
    """Return the same store for health checks: requests fail after two seconds, without retries."""
    options = _client_options(url, TIMEOUTS) | PROBE
    store: ObjectStore = from_url(url, client_options=options, retry_config=NO_RETRY)
    return store


def can_sign_urls(store: ObjectStore) -> bool:
    """Whether the store can sign URLs that work without its keys."""
    return isinstance(store, S3Store | GCSStore | AzureStore)


def _split_options(url: str, options: Mapping[str, str]) -> tuple[Any, Any]:
    """Return the options of the store and those of its client. obstore panics when one is among the others."""
    prefix = PREFIXES.get(urlsplit(url).scheme, "AWS_").lower()
    config: dict[str, str] = {}
    client_options: dict[str, str] = {}
    for name, value in options.items():
        bare = name.lower().removeprefix(prefix)
        if bare in CLIENT_OPTIONS:
            client_options[bare] = value
        else:
            config[name.lower()] = value
    return config, client_options


@contextmanager
def _hidden_environment() -> Iterator[None]:
    """Hide the variables that obstore reads, which it does in any case: options only replace some of them."""
    with _ENVIRONMENT_LOCK:
        prefixes = ("AWS_", *PREFIXES.values())
        hidden = {name: value for name, value in os.environ.items() if name.startswith(prefixes)}
        try:  # from here on, as the soft time limit may interrupt any line
            for name in hidden:
                del os.environ[name]
            yield
        finally:
            os.environ.update(hidden)


def _client_options(url: str, timeouts: dict[str, str]) -> Any:
    prefix = PREFIXES.get(urlsplit(url).scheme, "AWS_")
    options = {name: os.environ.get(f"{prefix}{name.upper()}") for name in ENVIRONMENT_OPTIONS}
    return timeouts | {name: value for name, value in options.items() if value is not None}
