"""Connections to object stores: what is asked of the environment, how long one waits, what is tried again."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from obstore.store import AzureStore, GCSStore, S3Store, from_url

if TYPE_CHECKING:
    from obstore.store import ObjectStore

PREFIXES = {"gs": "GOOGLE_", "az": "AZURE_", "azure": "AZURE_", "adl": "AZURE_", "abfs": "AZURE_", "abfss": "AZURE_"}
"""How a scheme's variables begin; of all other schemes, `AWS_`."""

TIMEOUTS = {"connect_timeout": "2s", "read_timeout": "10s", "timeout": "10m"}
"""How long a request waits: to be connected; for an answer to begin, and between two reads of it; and in all.

A store that hangs costs `read_timeout`; a part of REMOTE_CHUNK_BYTES bytes has to arrive within it, too. A long total
time is no fault: results are read from the store no faster than a client takes them. Each can be set in the
environment, as AWS_READ_TIMEOUT=30s.
"""

RETRY: Any = {
    "max_retries": 3,
    "retry_timeout": timedelta(seconds=10),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=1), "base": 2},
}
"""Refused connections and 5xx are tried again, after a timeout only what can be done twice, all within `retry_timeout`.

So a request takes 20 s at most: the rest is for those who asked, a client after a 503 or a stage in its next run.
"""

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
"""What obstore reads from the environment by itself only as long as nothing else is said about its client."""


def connect(url: str) -> ObjectStore:
    """Return the store that `s3://`, `gs://` or `az://` names; keys, region and endpoint are the environment's.

    Nothing is sent yet. Raises obstore's `BaseError` for a URL or an environment that no store can be made of.
    """
    store: ObjectStore = from_url(url, client_options=_client(url, TIMEOUTS), retry_config=RETRY)
    return store


def connect_probe(url: str) -> ObjectStore:
    """Return the same store for a look whether it is there: one that answers within two seconds or not at all."""
    options = _client(url, TIMEOUTS) | PROBE
    store: ObjectStore = from_url(url, client_options=options, retry_config=NO_RETRY)
    return store


def can_sign_urls(store: ObjectStore) -> bool:
    """Whether a store makes links that let somebody without its keys in."""
    return isinstance(store, S3Store | GCSStore | AzureStore)


def _client(url: str, timeouts: dict[str, str]) -> Any:
    prefix = PREFIXES.get(urlsplit(url).scheme, "AWS_")
    given = {name: os.environ.get(f"{prefix}{name.upper()}") for name in ENVIRONMENT_OPTIONS}
    return timeouts | {name: value for name, value in given.items() if value is not None}
