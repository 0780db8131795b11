"""URLs of Redis: one server, one with TLS, or the master that sentinels name; translated for each client library.

    redis://[user:password@]host[:6379][/0]
    rediss://…?ssl_ca_certs=/path            over TLS; certificate and host name are checked, unless ssl_cert_reqs=none
    sentinel://[user:password@]a[:26379],b[:26379][/0][?master_name=mymaster]

User and password are those of the server. Those of the sentinels are `sentinel_username` and `sentinel_password`. Any
`ssl_…` parameter in a `sentinel://` URL turns TLS on for the server and the sentinels.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.sentinel import Sentinel

from pipeline.broker.redis_connections import raise_connection_error_when_closed

SCHEMES = ("redis", "rediss", "sentinel")
IN_MEMORY = "memory"  # kombu's in-memory broker, for unit tests
MASTER_NAME = "mymaster"  # the name in Redis' sample sentinel configuration
SENTINEL_PORT = 26379
SENTINEL_OPTIONS = ("socket_timeout", "socket_connect_timeout", "retry")
CERT_REQS = ("none", "optional", "required")


@dataclass(frozen=True, slots=True)
class RedisUrl:
    """A valid URL; ValueError for an invalid one, with a message that does not contain the URL and its password."""

    text: str

    def __post_init__(self) -> None:
        """Refuse a URL that no client can use."""
        if self._parts.scheme not in (*SCHEMES, IN_MEMORY):
            prefixes = ", ".join(f"{scheme}://" for scheme in SCHEMES)
            raise ValueError(f"must begin with one of {prefixes}; the URL of RabbitMQ belongs in broker_url")
        if self.is_sentinel:
            _ = self.sentinels, self.database
        if self.tls and self.tls["ssl_cert_reqs"] not in CERT_REQS:
            raise ValueError(f"ssl_cert_reqs must be one of {', '.join(CERT_REQS)}")

    @property
    def is_sentinel(self) -> bool:
        """Whether sentinels name the server."""
        return self._parts.scheme == "sentinel"

    @property
    def database(self) -> int:
        """The number of the database."""
        path = self._parts.path.strip("/")
        if not (path or "0").isdecimal():
            raise ValueError(f"must name a database by number, not {path!r}")
        return int(path or 0)

    @property
    def tls(self) -> dict[str, Any]:
        """TLS options for redis-py; empty without TLS. They are explicit, as kombu's defaults check nothing."""
        options: dict[str, Any] = {name: value for name, value in self._query.items() if name.startswith("ssl_")}
        if self._parts.scheme != "rediss" and not (self.is_sentinel and options):
            return {}
        options["ssl_cert_reqs"] = options.get("ssl_cert_reqs", "required").lower().removeprefix("cert_")
        if "ssl_check_hostname" in options:
            options["ssl_check_hostname"] = options["ssl_check_hostname"].lower() not in {"false", "0", "no"}
        return options

    @property
    def sentinels(self) -> list[tuple[str, int]]:
        """Host and port of each sentinel."""
        nodes = [urlsplit(f"//{node}") for node in self._parts.netloc.rpartition("@")[2].split(",")]
        if not all(node.hostname for node in nodes):
            raise ValueError("sentinel:// needs the hosts of the sentinels, separated by commas")
        return [(node.hostname or "", node.port or SENTINEL_PORT) for node in nodes]

    @property
    def master_name(self) -> str:
        """The name by which sentinels know the server."""
        return self._query.get("master_name", MASTER_NAME)

    def with_database(self, number: int) -> str:
        """Return the URL of another database on the same server."""
        return urlunsplit(self._parts._replace(path=f"/{number}"))

    def for_redis_py(self) -> str:
        """Return the URL for redis-py; not for sentinels."""
        if not self.tls:
            return self.text
        return urlunsplit(self._parts._replace(query=urlencode(self._query | self.tls)))

    def for_kombu(self) -> str:
        """Return the URL for kombu and Celery: without the TLS parameters, which they take from their settings."""
        if not self.is_sentinel:
            query = {name: value for name, value in self._query.items() if not name.startswith("ssl_")}
            return urlunsplit(self._parts._replace(query=urlencode(query))) if self.tls else self.text
        credentials = self._parts.netloc.rpartition("@")[0]
        prefix = f"{credentials}@" if credentials else ""
        nodes = [(f"[{host}]" if ":" in host else quote(host), port) for host, port in self.sentinels]
        return ";".join(f"sentinel://{prefix}{host}:{port}/{self.database}" for host, port in nodes)

    def transport_options(self, **options: Any) -> dict[str, Any]:
        """Return the transport options that kombu and Celery need for sentinels; `options` are those of connections."""
        if not self.is_sentinel:
            return {}
        return {"master_name": self.master_name, "sentinel_kwargs": self._sentinel_options(options)}

    def open(self, **options: Any) -> Redis:
        """Return a client that connects at first use; `options` are redis-py's connection options."""
        if not self.is_sentinel:
            return Redis.from_url(self.for_redis_py(), **options)
        client: Redis = self._master(Sentinel, options)
        return client

    def open_async(self, **options: Any) -> AsyncRedis:
        """Return an asynchronous client that connects at first use; `options` as for `open`."""
        if not self.is_sentinel:
            return raise_connection_error_when_closed(AsyncRedis.from_url(self.for_redis_py(), **options))
        return raise_connection_error_when_closed(self._master(AsyncSentinel, options))

    def _master(self, sentinel: Any, options: dict[str, Any]) -> Any:
        sentinels = sentinel(
            self.sentinels, sentinel_kwargs=self._sentinel_options(options), **self._server_options(options)
        )
        return sentinels.master_for(self.master_name)

    def _server_options(self, options: dict[str, Any]) -> dict[str, Any]:
        name, _, password = self._parts.netloc.rpartition("@")[0].partition(":")
        credentials = {"username": unquote(name) or None, "password": unquote(password) or None}
        return options | credentials | {"db": self.database} | ({"ssl": True} | self.tls if self.tls else {})

    def _sentinel_options(self, options: dict[str, Any]) -> dict[str, Any]:
        """Return the connection options for sentinels, with the server's timeouts: a sentinel that hangs blocks all."""
        timeouts = {name: options[name] for name in SENTINEL_OPTIONS if name in options}
        credentials = {
            name.removeprefix("sentinel_"): self._query[name]
            for name in ("sentinel_username", "sentinel_password")
            if name in self._query
        }
        return timeouts | credentials | ({"ssl": True} | self.tls if self.tls else {})

    @property
    def _parts(self) -> SplitResult:
        """Split the URL, by hand for sentinels: recent Pythons refuse brackets that do not enclose the whole host."""
        scheme, _, rest = self.text.partition("://")
        if scheme != "sentinel":
            return urlsplit(self.text)
        nodes = re.split("[/?#]", rest, maxsplit=1)[0]
        return urlsplit(f"sentinel://{rest[len(nodes) :]}")._replace(netloc=nodes)

    @property
    def _query(self) -> dict[str, str]:
        return dict(parse_qsl(self._parts.query))
